// The report's style sheet: quiet, legible, light and dark, from a phone to a wide screen. Knows the class names
// that report.ts writes, and the modes.
import { MODES, type Mode } from '../../data/curriculum.ts';

/** The colour of each mode's curves and dots, on a light page and on a dark one. */
export const MODE_COLOURS: Readonly<Record<Mode, { readonly light: string; readonly dark: string }>> = {
  coconut: { light: '#2563c9', dark: '#6ea4f7' },
  cot: { light: '#c2621b', dark: '#e79a5c' },
  'no-cot': { light: '#7b6ca8', dark: '#b3a4e0' },
  'no-thought': { light: '#16827f', dark: '#5cc4c0' },
  pause: { light: '#a8328c', dark: '#e58ccf' },
  'no-curriculum': { light: '#85740c', dark: '#cdbb52' },
  icot: { light: '#4f7d1c', dark: '#a5d065' },
};

const variables = (scheme: 'light' | 'dark'): string =>
  MODES.map(mode => `--${mode}: ${MODE_COLOURS[mode][scheme]};`).join(' ');

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --text: #1c1d1f; --quiet: #676a70; --line: #e4e4e1; --grid: #efefec;
  --mark: #b9bbbf; --right: #1f7a4d; --wrong: #b3382c;
  ${variables('light')}
  --arm-0: #2563c9; --arm-1: #c2621b; --arm-2: #7b6ca8;
  --correct-path: #2f8f5f; --longer-path: #93cbae; --wrong-target: #e0974a; --hallucination: #c9483b;
  --correct-label: #2563c9; --incorrect-label: #a99bd4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #141517; --card: #1b1d20; --text: #e6e6e3; --quiet: #9a9da4; --line: #2d3035; --grid: #25282c;
    --mark: #575b62; --right: #62c493; --wrong: #ef8074;
    ${variables('dark')}
    --arm-0: #6ea4f7; --arm-1: #e79a5c; --arm-2: #b3a4e0;
    --correct-path: #4caf7d; --longer-path: #9ad4b4; --wrong-target: #e6a357; --hallucination: #e2695c;
    --correct-label: #6ea4f7; --incorrect-label: #8a7fb8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; font-weight: 650; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 2.75rem 0 .75rem; font-weight: 650; }
p { margin: 0 0 .75rem; max-width: 46rem; }
.quiet { color: var(--quiet); }
.eyebrow { color: var(--quiet); font-size: .875rem; margin: 0 0 .5rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .55rem .6rem; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; padding-left: .9rem; }
th:last-child, td:last-child { padding-right: .9rem; }
thead th { color: var(--quiet); font-weight: 500; border-bottom: 1px solid var(--line); }
tbody tr + tr > * { border-top: 1px solid var(--grid); }
tbody th { font-weight: 600; }
.arm::before { content: ''; display: inline-block; width: .6em; height: .6em; border-radius: 50%; margin-right: .5em; background: var(--quiet); }
${MODES.map(mode => `.arm.${mode}::before { background: var(--${mode}); }`).join('\n')}
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; padding: .9rem .75rem .5rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); min-width: 0; }
figcaption { font-size: .9rem; font-weight: 600; margin: 0 .25rem .35rem; }
.chart { min-height: 15rem; color: var(--quiet); font-size: .875rem; }
.chart .u-legend { text-align: left; color: var(--quiet); font-size: .8rem; width: auto; margin: .1rem 0 0 .25rem; }
.chart .u-legend th, .chart .u-legend td { padding: .1rem .3rem; text-align: left; border: 0; font-weight: 400; }
.chart .u-legend tr { border: 0; }
.chart .u-marker { width: .65em; height: .65em; border-radius: 50%; }
.chart .u-cursor-x { border-color: var(--mark); }
.samples { display: grid; gap: 1rem; }
.sample { padding: .9rem 1rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); min-width: 0; }
.sample header { display: flex; gap: 1rem; justify-content: space-between; font-size: .875rem; margin-bottom: .4rem; }
.right { color: var(--right); font-weight: 600; }
.wrong { color: var(--wrong); font-weight: 600; }
.text { font: .9rem/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere; white-space: pre-wrap; margin: 0; }
.said { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: .5rem 0 0; }
.said dt { color: var(--quiet); font-size: .875rem; }
.said dd { margin: 0; min-width: 0; }
.thoughts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .9rem 1.25rem; margin: .9rem 0 0; padding: .8rem 0 0; border-top: 1px solid var(--grid); list-style: none; }
.thoughts h3 { font-size: .8rem; font-weight: 500; color: var(--quiet); margin: 0 0 .25rem; }
.thoughts ol { list-style: none; margin: 0; padding: 0; }
.thoughts ol li { display: grid; grid-template-columns: 1fr max-content; column-gap: .75rem; font-size: .85rem; font-variant-numeric: tabular-nums; padding: .05rem 0 .2rem; }
.thoughts .token { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.thoughts ol li::after { content: ''; grid-column: 1 / -1; height: 3px; border-radius: 2px; background: linear-gradient(to right, var(--coconut) var(--p), var(--grid) var(--p)); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.card { padding: .9rem 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); min-width: 0; }
.card h3, main > h3.arm { font-size: .95rem; font-weight: 600; margin: 0 0 .5rem; }
main > h3.arm { margin-top: 1.25rem; }
.bars, .stacks, .legend, .graphs { list-style: none; margin: 0; padding: 0; }
.bars li { display: grid; grid-template-columns: 1fr max-content 3rem; column-gap: .75rem; align-items: baseline; font-size: .9rem; font-variant-numeric: tabular-nums; padding: .1rem 0 .25rem; }
.bars li::after { content: ''; grid-column: 1 / -1; height: 5px; border-radius: 3px; background: linear-gradient(to right, var(--coconut) var(--p), var(--grid) var(--p)); }
.bars code { color: var(--quiet); font-size: .8rem; }
.bars li > :last-child { text-align: right; }
.wide { margin-bottom: 1rem; }
.small .note { min-height: 2.7em; }
.note { color: var(--quiet); font-size: .8rem; line-height: 1.35; margin: 0 .25rem .5rem; }
.stacks { font-size: .875rem; font-variant-numeric: tabular-nums; margin: 0 .25rem; }
.stacks li { display: grid; grid-template-columns: 5.5rem 1fr 3rem; gap: .75rem; align-items: center; padding: .15rem 0; }
.stacks li > :last-child { text-align: right; }
.stack { display: flex; gap: 1px; height: 1rem; border-radius: .2rem; overflow: hidden; background: var(--grid); }
.stack i { flex: 0 0 0; min-width: 2px; }
.correct-path, .longer-path, .wrong-target, .hallucination, .correct-label, .incorrect-label { --c: var(--quiet); }
.correct-path { --c: var(--correct-path); } .longer-path { --c: var(--longer-path); }
.wrong-target { --c: var(--wrong-target); } .hallucination { --c: var(--hallucination); }
.correct-label { --c: var(--correct-label); } .incorrect-label { --c: var(--incorrect-label); }
.s0 { --c: var(--coconut); } .s1 { --c: var(--right); } .s2 { --c: var(--cot); } .s3 { --c: var(--no-cot); }
.reference { --c: var(--quiet); }
.stack i { background: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .5rem .25rem .25rem; color: var(--quiet); font-size: .8rem; }
.legend li::before { content: ''; display: inline-block; width: .65em; height: .65em; border-radius: 50%; margin-right: .45em; background: var(--c); }
.legend .reference::before { height: 0; border-top: 2px dashed var(--c); border-radius: 0; background: none; width: 1.1em; vertical-align: .25em; }
.smalls { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.small svg { display: block; width: 100%; height: auto; }
.small text { font: 10.5px system-ui, sans-serif; fill: var(--quiet); }
.small .tick { text-anchor: end; }
.small .label { text-anchor: middle; }
.small .grid { stroke: var(--grid); }
.series path { fill: none; stroke: var(--c); stroke-width: 1.75; }
.series circle { fill: var(--c); }
.series.reference path { stroke-dasharray: 4 4; stroke-width: 1.25; }
.graphs { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--column)), 1fr)); margin-top: .9rem; padding-top: .8rem; border-top: 1px solid var(--grid); }
.graphs h3 { font-size: .8rem; font-weight: 500; color: var(--quiet); margin: 0 0 .35rem; }
.graphs svg { display: block; width: 100%; height: auto; margin: 0 auto; }
.edge { fill: none; stroke: var(--line); stroke-width: 1.25; }
.edge.way { stroke: var(--quiet); stroke-width: 2; }
.node { fill: color-mix(in srgb, var(--coconut) var(--v), var(--card)); stroke: var(--mark); }
.node.root { stroke: var(--text); stroke-width: 2; }
.node.target { stroke: var(--right); stroke-width: 2.5; }
.node.distractor { stroke: var(--wrong); stroke-width: 2; stroke-dasharray: 3 2.5; }
.graphs text { text-anchor: middle; font: 10.5px system-ui, sans-serif; fill: var(--text); }
.graphs .full { fill: var(--card); }
.graphs .below { font-size: 9.5px; paint-order: stroke; stroke: var(--card); stroke-width: 3px; stroke-linejoin: round; }
.graphs .value { font-size: 9.5px; font-weight: 600; fill: var(--coconut); paint-order: stroke; stroke: var(--card); stroke-width: 3px; stroke-linejoin: round; }
.settings { columns: 21rem; column-gap: 2.5rem; font-size: .9rem; }
.settings section { break-inside: avoid; margin: 0 0 1rem; }
.settings h3 { font-size: .9rem; margin: 0 0 .25rem; font-weight: 600; }
.settings dl { display: grid; grid-template-columns: 1fr auto; gap: .05rem 1rem; margin: 0; }
.settings dt { color: var(--quiet); }
.settings dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
@media (max-width: 34rem) {
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.35rem; }
  .said { grid-template-columns: 1fr; }
}
`;
