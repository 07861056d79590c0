// The profile's style sheet: quiet, legible, light and dark. It also draws the flame chart: a frame knows its place as
// shares of the whole (--x, --w) and its depth (--d), and the chart which part of the whole it shows (--from, --zoom).
// Knows the class names that html.ts writes.

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --text: #1c1d1f; --quiet: #676a70; --line: #e4e4e1; --grid: #efefec; --part: #f1f1ee;
  --tint: 30%;
  --c0: #3f74cf; --c1: #d9853b; --c2: #4a9d78; --c3: #8a6fc0; --c4: #c75b6f; --c5: #3f9aa8; --c6: #a3a5a8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #141517; --card: #1b1d20; --text: #e6e6e3; --quiet: #9a9da4; --line: #2d3035; --grid: #25282c; --part: #24272b;
    --tint: 42%;
    --c0: #5f93ee; --c1: #e0944f; --c2: #57b38a; --c3: #a58be0; --c4: #de7486; --c5: #56b3c1; --c6: #7d8087;
  }
}
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
}
main { max-width: 84rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; font-weight: 650; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 2.75rem 0 .5rem; font-weight: 650; }
p { margin: 0 0 .75rem; max-width: 52rem; }
small { font-size: .8rem; color: var(--quiet); font-weight: 400; }
code, .command { font: .85rem/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
.quiet { color: var(--quiet); font-size: .925rem; }
.about { max-width: none; }
.eyebrow { color: var(--quiet); font-size: .875rem; margin: 0 0 .5rem; }
.command { color: var(--quiet); overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; margin: 1.5rem 0 0; border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; background: var(--card); }
.facts div { padding: .75rem .9rem .8rem; box-shadow: 1px 1px 0 var(--line); }
.facts dt { color: var(--quiet); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.facts small { display: block; line-height: 1.35; letter-spacing: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; list-style: none; margin: 0 0 .6rem; padding: 0; font-size: .85rem; color: var(--quiet); }
.legend b { font-weight: 500; color: var(--text); font-variant-numeric: tabular-nums; }
.dot { white-space: nowrap; }
.legend li::before, .dot::before { content: ''; display: inline-block; width: .65em; height: .65em; border-radius: .15em; margin-right: .45em; background: var(--c); }
.flame {
  --from: 0; --zoom: 1; --row: 1.85rem;
  position: relative; height: calc(var(--rows) * var(--row)); overflow: hidden;
  border: 1px solid var(--line); border-radius: .5rem; background: var(--card); font-size: .8rem; cursor: pointer;
}
.flame:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
.frame {
  position: absolute; top: calc(var(--d) * var(--row)); height: calc(var(--row) - 1px);
  left: calc((var(--x) - var(--from)) * var(--zoom) * 100%); width: calc(var(--w) * var(--zoom) * 100%);
  overflow: hidden; container-type: inline-size; transition: left .25s ease, width .25s ease;
  /* The gap to the frame before: a part of it where the frame itself is narrower than a few pixels. */
  background: linear-gradient(to right, var(--card) min(1px, 20%), var(--fill) 0);
  --fill: var(--part);
}
.frame:hover { --fill: color-mix(in oklab, var(--text) 14%, var(--card)); }
.frame.kernel { --fill: color-mix(in oklab, var(--c) var(--tint), var(--card)); border-top: 2px solid var(--c); }
.frame.kernel:hover { --fill: color-mix(in oklab, var(--c) 65%, var(--card)); }
.frame.kernel span { line-height: calc(var(--row) - 5px); }
.frame.above { left: 0; width: 100%; color: var(--quiet); }
.frame span { display: block; padding: 0 .45rem; line-height: calc(var(--row) - 1px); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
@container (max-width: 2.4rem) { .frame span { visibility: hidden; } }
.told { margin: .5rem 0 0; color: var(--quiet); font-size: .875rem; min-height: 1.6em; max-width: none; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .6rem; text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child { text-align: left; padding-left: .9rem; }
th:last-child, td:last-child { padding-right: .9rem; }
thead th { padding: 0; border-bottom: 1px solid var(--line); }
thead button { all: unset; cursor: pointer; box-sizing: border-box; width: 100%; padding: .55rem .6rem; color: var(--quiet); font-weight: 500; }
thead th:first-child button { padding-left: .9rem; }
thead th:last-child { padding-left: .9rem; }
thead button:hover { color: var(--text); }
thead button:focus-visible { outline: 2px solid var(--c0); outline-offset: -2px; }
thead th[aria-sort] button { color: var(--text); }
thead th[aria-sort=descending] button::after { content: ' ↓'; }
thead th[aria-sort=ascending] button::after { content: ' ↑'; }
tbody tr + tr > * { border-top: 1px solid var(--grid); }
tbody th { font-weight: 600; white-space: normal; min-width: 25rem; }
td.bar { padding-left: 5.5rem; background: linear-gradient(var(--c), var(--c)) no-repeat .6rem .95rem / calc(4.5rem * var(--p)) .5em; }
td:last-child, th:last-child { text-align: left; padding-left: 1.5rem; }
details { font-size: .8rem; line-height: 1.75; color: var(--quiet); }
summary { cursor: pointer; width: fit-content; }
details ul { list-style: none; margin: .25rem 0 .35rem; padding: 0; }
details code { font-size: .78rem; color: var(--text); display: inline-block; min-width: 9.5rem; }
@media (max-width: 60rem) {
  .facts { grid-template-columns: repeat(2, 1fr); }
  tbody th { min-width: 8rem; }
}
@media (max-width: 34rem) {
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.35rem; }
  details code { min-width: 0; }
}
@media (prefers-reduced-motion: reduce) { .frame { transition: none; } }
`;
