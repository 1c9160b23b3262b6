// of attention/patterns/dual-norm

import { describe, expect, test } from 'vitest';
import { longShort } from '../../../src/attention/patterns/long-short.js';
import { gate } from '../../contract/gate/index.js';
import { rowLogsumexp, type Graph, type Matrix, type Oracle, type OracleProblem } from '../../oracles/graph.js';
import { normalised } from './dual-norm.js';

interface Options {
  readonly numLandmarks: number;
  readonly blockSize: number;
}
type Problem = OracleProblem<Options>;

interface Head {
  readonly scores: Matrix;
  readonly values: Matrix;
  readonly sees: (i: number, j: number) => boolean;
}

/** Scores and values of the summary and of the window, beside each other, of every head. */
function heads(g: Graph, p: Problem): Head[] {
  const { numLandmarks: m, blockSize: w } = p.options;
  const groups = Array.from({ length: p.G }, (_, n) => n);
  const first = (n: number): number => (n * p.H) / p.G;
  return Array.from({ length: p.B }, (_, b) => {
    const keys = normalised(
      g,
      p,
      groups.map((n) => p.k(b, first(n))),
      'windowKey',
    );
    const values = normalised(
      g,
      p,
      groups.map((n) => p.v(b, first(n))),
      'windowValue',
    );
    const weights = groups.map((n) =>
      m === 0
        ? undefined
        : g.softmax(
            g.matmulT(p.parameter('projection', n), p.k(b, first(n))),
            (_unused, j) => j < (p.lengths?.[b] ?? p.S),
          ),
    );
    const summary = (x: readonly Matrix[], name: string): Matrix[] =>
      m === 0 ? [] : normalised(g, p, groups.map((n) => g.matmul(weights[n]!, x[n]!)), name); // prettier-ignore
    const [farKeys, farValues] = [summary(keys, 'landmarkKey'), summary(values, 'landmarkValue')];
    return Array.from({ length: p.H }, (_unused, h) => {
      const n = Math.floor((h * p.G) / p.H);
      const both = (far: readonly Matrix[], near: Matrix): Matrix => (m === 0 ? near : g.concatRows([far[n]!, near]));
      const scores = g.scale(g.matmulT(p.q(b, h), both(farKeys, keys[n]!)), p.scale);
      const sees = (i: number, column: number): boolean => {
        if (column < m) return true;
        const [j, start] = [column - m, Math.floor(i / w) * w];
        return p.allowed(b, h, i, j) && j >= start - w / 2 && j < start + w + w / 2;
      };
      return { scores, values: both(farValues, values[n]!), sees };
    });
  }).flat();
}

const oracle: Oracle<Options> = (g, p) =>
  heads(g, p).map(({ scores, values, sees }) => g.matmul(g.softmax(scores, sees), values));

gate(longShort, {
  oracle,
  logsumexp: (g, p) => heads(g, p).map(({ scores, sees }) => rowLogsumexp(g, scores, sees)),
  options: [
    { numLandmarks: 3, blockSize: 4 },
    { numLandmarks: 0, blockSize: 6 },
  ],
  draw: (next) => ({ numLandmarks: Math.floor(5 * next()), blockSize: 2 + 2 * Math.floor(5 * next()) }),
  // norms have biases, so that the output is not linear in v
  weights: 'none',
  refused: [{ options: { blockSize: 5 } }],
});

describe('pairs', () => {
  const shapeOf = (n: number) => ({ B: 1, H: 1, G: 1, L: n, S: n, D: 64, E: 64 });
  test('n·(2w + m), without what the first and the last window would reach beyond the sequence', () => {
    expect(longShort.cost(shapeOf(4096)).pairs).toBe(4096 * (2 * 128 + 128) - 128 * 128);
    expect(longShort.cost(shapeOf(1024), { numLandmarks: 32, blockSize: 64 }).pairs).toBe(1024 * (128 + 32) - 64 * 64);
  });
});
