// The page's script: zooms the flame chart, tells what the pointer is on, sorts the table. It runs in the reader's
// browser, where only its own text arrives: the function must use nothing from outside its braces but types.

/** Wires the one flame chart and the one table of the document. */
export function wirePage(): void {
  const flame = document.querySelector<HTMLElement>('.flame')!;
  const told = document.querySelector<HTMLElement>('.told')!;
  const frames = [...flame.querySelectorAll<HTMLElement>('.frame')];
  const number = (frame: HTMLElement, name: string) => Number(frame.style.getPropertyValue(name));

  /** Widens a frame to the whole chart. Those above it that contain it become as wide, to lead back. */
  const zoom = (target: HTMLElement) => {
    const x = number(target, '--x');
    const w = number(target, '--w');
    const depth = number(target, '--d');
    flame.style.setProperty('--from', String(x));
    flame.style.setProperty('--zoom', String(1 / w));
    // The frames are in order of a walk through the tree, so the last one of each depth before the target is above it.
    const above = new Map<number, HTMLElement>();
    for (const frame of frames.slice(0, frames.indexOf(target))) above.set(number(frame, '--d'), frame);
    for (const frame of frames)
      frame.classList.toggle(
        'above',
        number(frame, '--d') < depth && above.get(number(frame, '--d')) === frame,
      );
  };

  const frameAt = (event: Event) => (event.target as HTMLElement).closest<HTMLElement>('.frame');
  flame.addEventListener('click', event => {
    const frame = frameAt(event);
    if (frame && number(frame, '--w') > 0) zoom(frame);
  });
  flame.addEventListener('pointerover', event => {
    const frame = frameAt(event);
    if (frame) told.textContent = frame.title;
  });
  addEventListener('keydown', event => {
    if (event.key === 'Escape') zoom(frames[0]!);
  });

  const body = document.querySelector('tbody')!;
  const heads = [...document.querySelectorAll<HTMLElement>('thead th')];
  for (const [column, head] of heads.entries())
    head.querySelector('button')!.addEventListener('click', () => {
      const text = head.dataset.kind === 'text';
      const before = head.getAttribute('aria-sort');
      // Numbers start with the largest, names with the first; what has no value comes last either way.
      const up = before === null ? text : before === 'descending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const value = (row: Element) => (row.children[column] as HTMLElement).dataset.value ?? '';
      const order = (a: string, b: string) => (text ? a.localeCompare(b) : Number(a) - Number(b));
      const rows = [...body.children].sort((rowA, rowB) => {
        const [a, b] = [value(rowA), value(rowB)];
        if (a === '' || b === '') return Number(a === '') - Number(b === '');
        return up ? order(a, b) : order(b, a);
      });
      body.append(...rows);
    });
}
