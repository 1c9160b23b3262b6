import { describe, expect, test } from 'vitest';
import { etc } from '../../../src/attention/patterns/etc.js';
import { longformer } from '../../../src/attention/patterns/longformer.js';
import { countPairs } from '../../../src/masks/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead, rowLogsumexp, withScores, type Graph, type Matrix, type OracleProblem } from '../../oracles/graph.js';

interface Options {
  readonly numGlobals: number;
  readonly radius: number;
  readonly maxDistance: number;
}

/** Labels of the original code's distances, and one for each way across the two sequences. */
function labelOf(i: number, j: number, { numGlobals: g, maxDistance: m }: Options): number {
  if (i < g !== j < g) return i < g ? 2 * m + 2 : 2 * m + 1;
  const distance = Math.max(-m, Math.min(m, j - i));
  return distance >= 0 ? distance : m - distance;
}

const sees = ({ numGlobals, radius }: Options, i: number, j: number): boolean =>
  i < numGlobals || j < numGlobals || Math.abs(i - j) <= radius;

/** `scale · (q·k + q·R[label] + bias[label])` */
function scoresWithLabels(g: Graph, p: OracleProblem<Options>, b: number, h: number): Matrix {
  const plain = g.matmulT(p.q(b, h), p.k(b, h));
  const relative = (): Matrix => {
    const bias = g.rows(p.parameter('relativeBias'), h, h + 1);
    const all = g.add(g.matmulT(p.q(b, h), p.parameter('relativeKeys', h)), bias); // [L × labels]
    const rows = Array.from({ length: p.L }, (_, i) => {
      const column = g.transpose(g.rows(all, i, i + 1));
      const labels = Array.from({ length: p.S }, (_unused, j) => labelOf(i, j, p.options));
      return g.transpose(g.gatherRows(column, labels));
    });
    return g.add(plain, g.concatRows(rows));
  };
  return withScores(g, p, b, h, g.scale(p.options.maxDistance === 0 ? plain : relative(), p.scale));
}

const oracle = perHead<Options>((g, p, b, h) => {
  const weights = g.softmax(scoresWithLabels(g, p, b, h), (i, j) => p.allowed(b, h, i, j) && sees(p.options, i, j));
  return g.matmul(weights, p.v(b, h));
});

const logsumexp = perHead<Options>((g, p, b, h) =>
  rowLogsumexp(g, scoresWithLabels(g, p, b, h), (i, j) => p.allowed(b, h, i, j) && sees(p.options, i, j)),
);

const zero = (_: string, __: readonly number[], drawn: Float32Array): Float32Array => drawn.fill(0);

gate(etc, {
  oracle,
  logsumexp,
  options: [
    { numGlobals: 2, radius: 3, maxDistance: 2 },
    { numGlobals: 3, radius: 2, maxDistance: 0 },
  ],
  exactWhen: [
    { options: { radius: 16, maxDistance: 0 } },
    { options: { radius: 16, numGlobals: 2, maxDistance: 3 }, parameters: zero },
    { options: { radius: 0, numGlobals: 17, maxDistance: 0 } },
  ],
  draw: (next, { S }) => ({
    numGlobals: Math.floor(next() * (1 + Math.min(S, 5))),
    radius: Math.floor(6 * next()),
    maxDistance: Math.floor(4 * next()),
  }),
  refused: [{ options: { numGlobals: 18 } }],
});

describe('labels', () => {
  test('the rows of the original code for a largest distance of 3', () => {
    const rows = [0, 1, 2, 3, 4, 5].map((i) =>
      [0, 1, 2, 3, 4, 5].map((j) => labelOf(i, j, { numGlobals: 0, radius: 0, maxDistance: 3 })),
    );
    expect(rows).toEqual([
      [0, 1, 2, 3, 3, 3],
      [4, 0, 1, 2, 3, 3],
      [5, 4, 0, 1, 2, 3],
      [6, 5, 4, 0, 1, 2],
      [6, 6, 5, 4, 0, 1],
      [6, 6, 6, 5, 4, 0],
    ]);
  });
});

describe('pairs', () => {
  const shapeOf = (n: number) => ({ B: 1, H: 1, G: 1, L: n, S: n, D: 64, E: 64 });
  test('g² + 2·g·l + the window of the long sequence', () => {
    const options = { numGlobals: 256, radius: 84 };
    const [g, l, r] = [256, 3840, 84];
    const want = g * g + 2 * g * l + l * (2 * r + 1) - r * (r + 1);
    expect(etc.cost(shapeOf(4096), options).pairs).toBe(want);
    expect(etc.cost(shapeOf(4096)).pairs).toBe(want);
    expect(countPairs(etc.pattern(shapeOf(4096))!, shapeOf(4096))).toBe(want);
  });
  test('the same as a window with the first tokens global', () => {
    const globals = [0, 1, 2, 3, 4];
    expect(etc.cost(shapeOf(100), { numGlobals: 5, radius: 7 }).pairs).toBe(
      longformer.cost(shapeOf(100), { globals, radius: 7 }).pairs,
    );
  });
  test('labels cost one product of the queries with the table', () => {
    const [plain, relative] = [0, 12].map((maxDistance) => etc.cost(shapeOf(4096), { maxDistance }).multiplyAdds);
    expect(relative! - plain!).toBe(4096 * 27 * 64);
  });
});
