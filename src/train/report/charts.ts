// The report's script: draws its curves with uPlot. It runs in the reader's browser, where only its own text
// arrives: the function must use nothing from outside its braces but types.
import type uPlot from 'uplot';
import type { Curves, ReportCurves } from './curves.ts';

/** Draws each chart into `#chart-ID`, again when the colour scheme changes, and follows the page's width. */
export function drawCharts(Plot: typeof uPlot, { arms, charts, stages }: ReportCurves): void {
  const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const armColour = (arm: string, index: number) => colour(`--${arm}`) || colour(`--arm-${index % 3}`);
  const font = '12px system-ui, sans-serif';
  const plots: { plot: uPlot; holder: HTMLElement }[] = [];

  const compact = (value: number) => {
    if (Math.abs(value) >= 1e6) return `${+(value / 1e6).toFixed(1)}M`;
    return Math.abs(value) >= 1e3 ? `${+(value / 1e3).toFixed(1)}k` : String(+value.toPrecision(3));
  };

  /** Hairlines where a stage begins; above them a label, where there is room beside the one before. */
  const stageMarks = (plot: uPlot) => {
    const { ctx } = plot;
    const { top, height, left, width } = plot.bbox;
    ctx.save();
    ctx.strokeStyle = colour('--mark');
    ctx.fillStyle = colour('--quiet');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.font = font.replace('12', String(11 * devicePixelRatio));
    ctx.textAlign = 'left';
    ctx.textBaseline = 'bottom';
    let free = left;
    for (const { x, label } of stages) {
      const at = Math.round(plot.valToPos(x, 'x', true));
      if (at < left || at > left + width) continue;
      ctx.beginPath();
      ctx.moveTo(at, top);
      ctx.lineTo(at, top + height);
      ctx.stroke();
      const end = at + ctx.measureText(label).width;
      if (at < free || end > left + width) continue;
      ctx.fillText(label, at, top - 3 * devicePixelRatio);
      free = end + 6 * devicePixelRatio;
    }
    ctx.restore();
  };

  /** The nearest of 1, 2, 5 times a power of ten below (floor) or above (ceil). */
  const nice = (value: number, round: (x: number) => number) => {
    const power = 10 ** Math.floor(Math.log10(value));
    const steps = [1, 2, 5, 10];
    const step =
      round === Math.floor ? steps.findLast(s => s * power <= value) : steps.find(s => s * power >= value);
    return (step ?? 1) * power;
  };

  const range = (scale: Curves['scale']): uPlot.Scale.Range => {
    if (scale === 'share') return [0, 1.02];
    if (scale === 'from zero') return (_plot, _low, high) => [0, (high || 1) * 1.15];
    return (_plot, low, high) => [nice(low || 0.1, Math.floor), nice(high || 1, Math.ceil)];
  };

  const draw = ({ id, title, scale, x, y }: Curves) => {
    const holder = document.getElementById(`chart-${id}`);
    if (holder === null || x.length === 0) return;
    const axis: uPlot.Axis = {
      stroke: colour('--quiet'),
      font,
      grid: { stroke: colour('--grid'), width: 1 },
      ticks: { show: false },
    };
    const options: uPlot.Options = {
      width: holder.clientWidth,
      height: 240,
      padding: [stages.length > 0 ? 20 : 8, 12, 0, 0],
      cursor: { y: false, points: { size: 6 } },
      scales: { x: { time: false }, y: { distr: scale === 'log' ? 3 : 1, range: range(scale) } },
      axes: [
        { ...axis, size: 30, values: (_plot, ticks) => ticks.map(compact) },
        {
          ...axis,
          size: 52,
          values: (_plot, ticks) => ticks.map(tick => (tick === null ? '' : compact(tick))),
        },
      ],
      series: [
        { label: 'samples', value: (_plot, value) => (value === null ? '–' : compact(value)) },
        ...arms.map((arm, index) => ({
          label: arm,
          stroke: armColour(arm, index),
          width: 1.75,
          spanGaps: true,
          points: { show: scale === 'share', size: 5, fill: armColour(arm, index) },
          value: (_plot: uPlot, value: number | null) => (value === null ? '–' : compact(value)),
        })),
      ],
      hooks: { drawAxes: [stageMarks] },
    };
    // A log axis has no place for what is not above 0.
    const columns = y.map(column => column.map(value => (scale === 'log' && !(value! > 0) ? null : value)));
    holder.replaceChildren();
    holder.setAttribute('aria-label', `${title}, over samples trained on`);
    plots.push({ plot: new Plot(options, [[...x], ...columns], holder), holder });
  };

  const drawAll = () => {
    for (const { plot } of plots.splice(0)) plot.destroy();
    for (const chart of charts) draw(chart);
  };
  drawAll();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  addEventListener('resize', () => {
    for (const { plot, holder } of plots) plot.setSize({ width: holder.clientWidth, height: 240 });
  });
}
