// What a rule reports: one line a fault, in the form that editors and terminals make a link of.
export interface Fault {
  /** Path from the repository's root. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export function show({ file, line, message }: Fault): string {
  return `${file}:${line}: ${message}`;
}
