// of attention/kernel-methods/{divide,gates}

import { expect } from 'vitest';
import { rfa } from '../../../src/attention/kernel-methods/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead } from '../../oracles/graph.js';
import * as oracles from '../../oracles/rfa.js';
import { normal } from '../../support/random.js';
import { sweep } from '../../support/full.js';

gate(rfa, {
  oracle: oracles.rfa,
  options: [
    { numFeatures: 64 },
    { numFeatures: 63, gate: true, temperature: 1.5 },
    { numFeatures: 64, scaling: 'released' },
  ],
  weights: 'signed',
  exactWhen: [
    {
      // a gate that forgets everything: each token sees itself
      options: { gate: true, numFeatures: 64 },
      causal: true,
      parameters: (name, _, drawn) => (name === 'gateBias' ? drawn.map(() => -60) : undefined),
      equals: perHead((_, p, b, h) => p.v(b, h)),
    },
  ],
  draw: (next) => ({
    numFeatures: 64,
    temperature: 1 + next(),
    gate: false,
    scaling: next() < 0.5 ? 'theory' : 'released',
  }),
  refused: [{ options: { gate: true } }],
});

const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

/** φ(x)·φ(y) for rows of length 1, over seeds: cosines of the projected difference. */
function estimates(numFeatures: number, seeds: number): { found: number[]; exact: number } {
  const D = 8;
  const shape = { B: 1, H: 1, G: 1, L: 1, S: 1, D, E: 1 };
  const { values } = rfa.settle(shape, { numFeatures });
  const { shape: sizes, init } = rfa.definition.parameters!(shape, values)['projection']!;
  const unit = (seed: number): number[] => {
    const x = Array.from(normal(seed, D));
    return x.map((c) => c / Math.hypot(...x));
  };
  const [x, y] = [unit(1), unit(2)];
  const found = Array.from({ length: seeds }, (_, seed) => {
    const W = init(sizes, seed, 'test');
    const angles = Array.from({ length: numFeatures / 2 }, (__, m) =>
      x.reduce((sum, c, i) => sum + W[m * D + i]! * (c - y[i]!), 0),
    );
    return mean(angles.map(Math.cos));
  });
  return { found, exact: Math.exp(-0.5 * x.reduce((sum, c, i) => sum + (c - y[i]!) ** 2, 0)) };
}

sweep('features estimate the Gaussian kernel without bias, with a squared error that falls as 1/M', () => {
  const counts = [8, 32, 128, 512];
  const errors = counts.map((count) => {
    const { found, exact } = estimates(count, 4000);
    const deviation = Math.sqrt(mean(found.map((x) => (x - mean(found)) ** 2)) / found.length);
    expect(Math.abs(mean(found) - exact)).toBeLessThan(3 * deviation);
    return Math.log(mean(found.map((x) => (x - exact) ** 2)));
  });
  const slope = (errors.at(-1)! - errors[0]!) / (Math.log(counts.at(-1)!) - Math.log(counts[0]!));
  expect(Math.abs(slope + 1)).toBeLessThan(0.1);
});
