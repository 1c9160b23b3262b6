// of report/{confusion,curve-chart}

import { describe, expect, test } from 'vitest';
import { layerCharts } from '../../src/report/layer-charts.js';
import { linearScale } from '../../src/report/linear-scale.js';
import { quantile, smoothed, thinned } from '../../src/report/series.js';
import { trainingReport } from '../../src/report/training.js';
import type { LayersMetric, Metric, StepMetric } from '../../src/train/metrics.js';
import { malformed } from './well-formed.js';

function step(at: number, own: Partial<StepMetric> = {}): StepMetric {
  const bitsPerByte = 2 + 6 / at;
  return {
    kind: 'step',
    step: at,
    loss: bitsPerByte * Math.LN2,
    bitsPerByte,
    gradientNorm: 1 / at,
    learningRate: 0.001,
    tokens: 2048,
    tokensPerSecond: 8192,
    peakBytes: 1e8,
    seconds: 0.25,
    elapsed: at / 4,
    ...own,
  };
}

const session = {
  time: '2026-01-02T03:04:05.678Z',
  device: 'native',
  threads: 2,
  parameters: 123_456,
  tokensPerStep: 2048,
};
const evaluation = (at: number, bitsPerByte: number | null): Metric => ({
  kind: 'evaluation',
  step: at,
  loss: bitsPerByte,
  bitsPerByte,
  windows: 8,
  seconds: 1,
  elapsed: at / 4,
});
const metrics: Metric[] = [
  { kind: 'start', step: 0, ...session },
  ...Array.from({ length: 400 }, (_, i) => step(i + 1)),
  step(401, { bitsPerByte: null, loss: null, gradientNorm: null, skipped: true }),
  evaluation(200, 2.5),
  evaluation(400, 2.125),
  evaluation(401, 2.25),
  { kind: 'resume', step: 300, ...session },
  { kind: 'stop', step: 401, time: session.time, elapsed: 100.25, reason: 'interrupted' },
];
const options = {
  metrics,
  config: {
    model: { layers: 4, mechanism: { name: 'a<b', options: {} } },
    data: { texts: ['x.txt', 'y.txt'], tokeniser: null },
  },
  name: 'runs/"mine" & yours',
  version: '1.2.3',
};

describe('the training report', () => {
  const page = trainingReport({ ...options, command: 'subquad train --steps 401', fiveGram: 2.375 });

  test('is well formed, escapes text, and asks for nothing', () => {
    expect(malformed(page)).toBeUndefined();
    expect(page).toContain('runs/&quot;mine&quot; &amp; yours');
    expect(page).toContain('a&lt;b');
    expect(page).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import|src=|href=/i);
  });

  test('says what happened, how, and with what', () => {
    for (const text of [
      '123 k parameters, 401 steps of 2,048 tokens in 1 min 40 s on native, 2 threads: interrupted.',
      'Best validation: 2.125 bits per byte at step 400; the last, at step 401, has 2.250.',
      'That is 0.250 bits per byte below a 5-gram of the same training text (2.375).',
      '1 step overflowed in f16 and moved nothing.',
      'Steps that were not finite are left out.',
      '401, 821 k tokens',
      '8.19 k tokens/s in the median',
      'start at step 0, 2026-01-02 03:04; resume at step 300',
      '<code>subquad train --steps 401</code>',
      'model.mechanism.name',
      'x.txt, y.txt',
      'subquad 1.2.3',
    ]) {
      expect(page).toContain(text);
    }
  });

  test('draws five charts, wide and narrow, with labels, and ids that are met once', () => {
    const drawings = [...page.matchAll(/<svg[^>]*>/g)].map(([tag]) => tag);
    expect(drawings).toHaveLength(10);
    for (const tag of drawings) expect(tag).toMatch(/role="img"[^>]*aria-label/);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const name of ['training', 'validation', '5-gram', 'rate', 'norm', 'tokens/s', 'peak']) {
      expect(page).toMatch(new RegExp(`<text class="name[^>]*>${name}<`));
    }
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });

  test('a run that has hardly begun is no reason to fail', () => {
    for (const few of [
      [],
      metrics.slice(0, 1),
      metrics.slice(0, 2),
      [step(1, { bitsPerByte: null, gradientNorm: null })],
    ]) {
      const bare = trainingReport({ ...options, metrics: few });
      expect(malformed(bare)).toBeUndefined();
      expect(bare).not.toMatch(/NaN|Infinity|undefined/);
    }
    expect(trainingReport({ ...options, metrics: [evaluation(1, null), step(1)] })).toContain(
      'Nothing was evaluated yet',
    );
  });
});

test('a moving average is one of a constant, follows a fall, and steadies what shakes', () => {
  const line = (y: (i: number) => number, length = 400) => Array.from({ length }, (_, i) => ({ x: i, y: y(i) }));
  for (const { y } of smoothed(line(() => 3))) expect(y).toBeCloseTo(3, 12);
  const shaking = smoothed(line((i) => (i % 2 === 0 ? 1 : -1)));
  expect(Math.max(...shaking.slice(200).map(({ y }) => Math.abs(y)))).toBeLessThan(0.06);
  expect(smoothed(line((i) => 8 / (i + 1)))[20]!.y).toBeLessThan(1);
});

test('thinning keeps the highest and the lowest, in order, and few points as they are', () => {
  const points = Array.from({ length: 10_000 }, (_, i) => ({
    x: i,
    y: Math.sin(i) + (i === 7777 ? 50 : 0) - (i === 3 ? 50 : 0),
  }));
  const thin = thinned(points);
  expect(thin.length).toBeLessThanOrEqual(600);
  expect(thin).toContainEqual(points[7777]);
  expect(thin).toContainEqual(points[3]);
  expect(thin.map(({ x }) => x)).toEqual(thin.map(({ x }) => x).sort((a, b) => a - b));
  expect(thinned(points.slice(0, 600))).toEqual(points.slice(0, 600));
});

test('quantiles, and linear scales with round ticks', () => {
  expect([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 1), quantile([5], 0.5)]).toEqual([2, 3, 5]);
  const scale = linearScale([2.03, 3.98], 100, 0);
  expect(scale.ticks).toEqual([2, 2.5, 3, 3.5, 4]);
  expect([scale(2), scale(4)]).toEqual([100, 0]);
  expect(linearScale([0, 0.002], 0, 10).ticks).toEqual([0, 0.0005, 0.001, 0.0015, 0.002]);
  const single = linearScale([5], 0, 10);
  expect(single(5)).toBeCloseTo(5, 6);
  expect(linearScale([], 0, 10).ticks.at(-1)).toBe(1);
  expect(linearScale([0, 0], 0, 10)(0)).toBeCloseTo(5, 6);
});

test('what routers say is a chart for each kind of number, with a curve for each layer', () => {
  const layers = (at: number, dropped: number | null): Metric => ({
    kind: 'layers',
    step: at,
    steps: 20,
    values: {
      'load.1': [0.5, 0.25, 0.125, 0.125],
      'dropped.1': [dropped],
      'entropy.1': [Math.log(4) / 2],
      'load.3': [0.25, 0.25, 0.25, 0.25],
      'dropped.3': [0],
      'entropy.3': [Math.log(4)],
      'mine.3': [7],
    },
  });
  const page = trainingReport({ ...options, metrics: [...metrics, layers(200, 0.25), layers(400, null)] });
  expect(malformed(page)).toBeUndefined();
  for (const title of ['Load of the busiest expert', 'Tokens without room', 'Router entropy', '<h3>mine</h3>']) {
    expect(page).toContain(title);
  }
  const charts = layerCharts([layers(200, 0.25), layers(400, null)] as LayersMetric[]);
  const points = (title: string): unknown =>
    charts.find((chart) => chart.title === title)!.curves.map(({ name, points: own }) => [name, own.map(({ y }) => y)]);
  expect(points('Load of the busiest expert')).toEqual([
    ['layer 1', [2, 2]],
    ['layer 3', [1, 1]],
  ]);
  expect(points('Tokens without room')).toEqual([
    ['layer 1', [0.25]],
    ['layer 3', [0, 0]],
  ]);
  expect(points('Router entropy')).toEqual([
    ['layer 1', [0.5, 0.5]],
    ['layer 3', [1, 1]],
  ]);
  expect(trainingReport(options)).not.toContain('Router entropy');
});
