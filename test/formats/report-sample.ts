// A made-up run for the tests of the report: three arms, stage marks, hostile text.

import type { Mode } from '../../src/data/curriculum.ts';
import type { Inspection } from '../../src/eval/inspect.ts';
import type { MetricRecord } from '../../src/train/metrics.ts';
import { resolveOptions } from '../../src/train/options.ts';
import type { ReportInput } from '../../src/train/report.ts';
import type { ArmResult, SearchValues } from '../../src/train/results.ts';

export const HOSTILE = `</script><script>window.hacked = true</script><img src=x onerror="window.hacked = true">&'"`;

export async function reportSample(): Promise<Omit<ReportInput, 'uplotJs' | 'uplotCss'>> {
  const resolved = await resolveOptions(['--compare', '--seed', '7'], async () => '');
  if ('help' in resolved) throw new Error('unexpected help');
  const thoughts = [
    [
      { token: 'n4', probability: 0.93 },
      { token: 'n1', probability: 0.05 },
      { token: HOSTILE, probability: 0.01 },
    ],
    [
      { token: 'n7', probability: 0.61 },
      { token: 'n2', probability: 0.33 },
      { token: 'n5', probability: 0.04 },
    ],
    [
      { token: 'n2', probability: 0.98 },
      { token: 'n6', probability: 0.01 },
      { token: 'n3', probability: 0.005 },
    ],
  ];
  const question = 'n3 n5 , n1 n6 , n4 n7 , n0 n1 , n7 n2 , n5 n0 , n2 n3 , n6 n4 ; from n1 in 3 ?';
  return {
    options: resolved.options,
    results: {
      adapter: 'google / swiftshader (software, 2 cores)',
      seconds: 431.7,
      arms: [arm('coconut', 0.994, 0.126, 6.1), arm('cot', 1, null, 6), arm('no-cot', 0.132, null, 2)],
    },
    metrics: [...metrics('coconut', 3), ...metrics('cot', 0), ...metrics('no-cot', 0)],
    samples: [
      { mode: 'coconut', question, expected: 'n2', output: 'n2', correct: true, thoughts, values: values() },
      {
        mode: 'coconut',
        question: HOSTILE,
        expected: HOSTILE,
        output: HOSTILE,
        correct: false,
        thoughts,
        values: null,
      },
      {
        mode: 'cot',
        question,
        expected: 'n2',
        output: 'n6 n4 n7 # n7',
        correct: false,
        thoughts: [],
        values: null,
      },
    ],
  };
}

function arm(mode: Mode, exactMatch: number, noLatents: number | null, tokens: number): ArmResult {
  return {
    mode,
    bptt: 2,
    seed: 7,
    samples: 24_000,
    steps: 1500,
    stage: 3,
    lastStage: 3,
    trainSeconds: 140,
    stepSeconds: 0.0934,
    peakBytes: 41_300_000,
    parameters: 117_248,
    evalSamples: 500,
    exactMatch,
    exactMatchNoLatents: noLatents,
    tokensPerSample: tokens,
    secondsPerSample: 0.00312,
    controls:
      noLatents === null
        ? []
        : (['none', 'no-latent', 'zero', 'noise', 'shuffle', 'snap'] as const).map((control, i) => ({
            ...{ control, thought: null, exactMatch: [exactMatch, noLatents, 0.11, 0.13, 0.12, 0.9][i]! },
          })),
    inspection: noLatents === null ? null : inspection(),
  };
}

/** A graph whose names are hostile, and cross the letters of the report. */
function values(): SearchValues {
  const symbols = ['n0', 'n1', HOSTILE, 'n3', 'n4'];
  const graph = {
    symbols,
    edges: [
      [0, 2],
      [2, 3],
      [1, 4],
    ] as const,
    root: 0,
    target: 3,
    distractor: 4,
  };
  const after = [0, 1, 2].map(thoughts => ({
    ...{ thoughts, asks: thoughts < 2 ? ('step' as const) : ('answer' as const) },
    values: symbols.map((_, node) => (node === thoughts + 1 ? 0.9 : 0.02)),
  }));
  return { sample: { question: '', steps: [HOSTILE, 'n3'], answer: 'n3', graph }, after };
}

function inspection(): Inspection {
  const classes = (correct: number) => ({
    ...{ 'correct-path': correct, 'longer-path': 2, hallucination: 98 - correct, 'wrong-target': 0 },
    ...{ 'correct-label': 0, 'incorrect-label': 0 },
  });
  const thoughts = [1, 2, 3];
  return {
    samples: 100,
    classes: classes(90),
    forced: [0, 1, 2, 3].map(k => ({
      thoughts: k,
      exactMatch: 0.7 + 0.1 * k,
      classes: classes(60 + 10 * k),
    })),
    nodes: [0, 1, 2, 3].map(k => ({
      ...{ thoughts: k, asks: k < 3 ? 'step' : 'answer', samples: 100, depth: k + 1, nodes: 0.99 },
      ...{ reachable: 0.9, frontier: 0.8, optimal: 0.5 + 0.1 * k, top: [0.6, 0.7, 0.8] },
      chance: { reachable: 0.5, frontier: 0.2, optimal: 0.1 },
    })),
    norms: {
      tokens: { mean: 3.1, deviation: 0.2 },
      thoughts: thoughts.map(thought => ({
        thought,
        norm: 3 + thought / 4,
        deviation: 0.3,
        cosine: 0.7 - thought / 5,
      })),
    },
    entropy: thoughts.map(thought => ({ thought, nats: 0.4 / thought, peak: 0.8 })),
    snapKl: thoughts.map(thought => ({ thought, kl: 1 / thought })),
  };
}

/** Stages end at steps 700, 900 and 1150; the loss falls within each and starts again higher. */
function metrics(name: string, lastStage: number): MetricRecord[] {
  const begins = [0, 700, 900, 1150].slice(0, lastStage + 1);
  const records: MetricRecord[] = [];
  for (let step = 0; step <= 1500; step += 10) {
    const stage = begins.filter(begin => begin <= step).length - 1;
    const common = { arm: name, step, stage, samples: step * 16, seconds: step * 0.09 };
    const into = step - begins[stage];
    const wave = Math.sin(step * 1.7) * Math.cos(step * 0.31);
    if (into === 0) records.push({ kind: 'stage', ...common });
    const floor = name === 'no-cot' ? 1.6 : 0.01;
    const loss =
      floor + (stage === 0 ? 2 : 0.6) * Math.exp(-into / (stage === 0 ? 180 : 50)) * (1 + 0.1 * wave);
    const rest = { lr: 1e-3, ceilingShare: 0.31, liveBytes: 22e6, peakBytes: 41.3e6 };
    records.push({
      kind: 'step',
      ...common,
      loss,
      gradNorm: 0.2 + loss * (1.2 + 0.4 * wave),
      tokensPerSecond: 4200 - 300 * stage + 80 * wave,
      ...rest,
    });
    if (step % 50 === 0) {
      const accuracy =
        name === 'no-cot' ? 0.13 + 0.02 * wave : Math.min(1, 1 - Math.exp(-into / 120) * 0.9 + 0.01 * wave);
      records.push({ kind: 'validation', ...common, accuracy });
    }
  }
  return records;
}
