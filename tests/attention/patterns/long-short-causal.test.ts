import { describe, expect, test } from 'vitest';
import { longShortCausal } from '../../../src/attention/patterns/long-short-causal.js';
import { gate } from '../../contract/gate/index.js';
import { rowLogsumexp, type Graph, type Matrix, type Oracle, type OracleProblem } from '../../oracles/graph.js';
import { normalised } from './dual-norm.js';

interface Options {
  readonly causalWindow: number;
  readonly chunkLength: number;
  readonly chunkRank: number;
}
type Problem = OracleProblem<Options>;

interface Head {
  readonly scores: Matrix;
  readonly values: Matrix;
  readonly sees: (i: number, j: number) => boolean;
}

/** Scores and values of the compressed chunks and of the window, beside each other, of every head. */
function heads(g: Graph, p: Problem): Head[] {
  const { causalWindow, chunkLength, chunkRank } = p.options;
  const chunks = Math.floor(p.S / chunkLength);
  const groups = Array.from({ length: p.G }, (_, n) => n);
  const first = (n: number): number => (n * p.H) / p.G;
  return Array.from({ length: p.B }, (_, b) => {
    const all = (of: 'k' | 'v'): Matrix[] => groups.map((n) => p[of](b, first(n)));
    const summary = (of: 'k' | 'v'): Matrix[] =>
      groups.map((n) => {
        const parts = Array.from({ length: chunks }, (_unused, c) => {
          const rows = (x: Matrix): Matrix => g.rows(x, c * chunkLength, (c + 1) * chunkLength);
          const logits = g.matmul(rows(p.k(b, first(n))), p.parameter('projection', n));
          return g.matmul(g.softmax(g.transpose(logits)), rows(p[of](b, first(n))));
        });
        return g.concatRows(parts);
      });
    const norm = (x: readonly Matrix[], name: string): Matrix[] => normalised(g, p, x, name);
    const both = (of: 'k' | 'v', name: 'Key' | 'Value'): Matrix[] => {
      const near = norm(all(of), `window${name}`);
      if (chunks === 0) return near;
      const far = norm(summary(of), `landmark${name}`);
      return near.map((x, n) => g.concatRows([far[n]!, x]));
    };
    const [keys, values] = [both('k', 'Key'), both('v', 'Value')];
    return Array.from({ length: p.H }, (_unused, h) => {
      const n = Math.floor((h * p.G) / p.H);
      const sees = (i: number, column: number): boolean => {
        const [at, j] = [i + p.S - p.L, column - chunks * chunkRank];
        if (j < 0) return Math.floor(column / chunkRank) < Math.floor(at / chunkLength);
        return p.allowed(b, h, i, j) && j > at - causalWindow;
      };
      return { scores: g.scale(g.matmulT(p.q(b, h), keys[n]!), p.scale), values: values[n]!, sees };
    });
  }).flat();
}

const oracle: Oracle<Options> = (g, p) =>
  heads(g, p).map(({ scores, values, sees }) => g.matmul(g.softmax(scores, sees), values));

gate(longShortCausal, {
  oracle,
  logsumexp: (g, p) => heads(g, p).map(({ scores, sees }) => rowLogsumexp(g, scores, sees)),
  options: [{ causalWindow: 3, chunkLength: 4, chunkRank: 2 }, { causalWindow: 5 }],
  draw: (next) => ({
    causalWindow: 1 + Math.floor(6 * next()),
    chunkLength: 1 + Math.floor(6 * next()),
    chunkRank: 1 + Math.floor(3 * next()),
  }),
  // norms have biases, so that the output is not linear in v
  weights: 'none',
});

describe('pairs', () => {
  test('a window of w keys and one for each chunk before', () => {
    const shape = { B: 1, H: 1, G: 1, L: 4096, S: 4096, D: 64, E: 64 };
    // 16 queries see c chunks, for c from 0 to 255
    const want = 4096 * 512 - (512 * 511) / 2 + (16 * 255 * 256) / 2;
    expect(longShortCausal.cost(shape).pairs).toBe(want);
  });
});
