// What an experiment shows while it runs: a line for each cell's begin and end and, on a terminal, what the cell itself
// says at the foot. Knows standard output only.

export class Terminal {
  #title = '';
  #drawn = false;

  begin(text: string, title: string): void {
    this.message(text);
    this.#title = title;
  }

  /** The newest line of what runs; elsewhere than on a terminal they would be too many. */
  line(text: string): void {
    const { isTTY, columns } = process.stdout;
    if (!isTTY || text.trim() === '') return;
    process.stdout.write(`\r\x1b[2K${`${this.#title} · ${text}`.slice(0, columns - 1)}`);
    this.#drawn = true;
  }

  end(text: string): void {
    this.message(text);
    this.#title = '';
  }

  message(text: string): void {
    this.close();
    process.stdout.write(`${text}\n`);
  }

  close(): void {
    if (this.#drawn) process.stdout.write('\r\x1b[2K');
    this.#drawn = false;
  }
}
