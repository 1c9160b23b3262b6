// of attention/patterns/pooling

import { describe, expect, test } from 'vitest';
import { poolingformer } from '../../../src/attention/patterns/poolingformer.js';
import { gate } from '../../contract/gate/index.js';
import { perHead, scoresOf, type Graph, type Matrix, type OracleProblem } from '../../oracles/graph.js';

interface Options {
  readonly radius: number;
  readonly poolRadius: number;
  readonly kernelSize: number;
  readonly poolStride: number;
  readonly pool: 'mean' | 'max' | 'ldconv';
  readonly levels: number;
}
type Problem = OracleProblem<Options>;

const end = (p: Problem, b: number): number => p.lengths?.[b] ?? p.S;

/** Slot by slot, the rows that are there. */
function pooled(g: Graph, p: Problem, b: number, h: number, x: Matrix, kernel: 'poolK' | 'poolV'): Matrix {
  const { kernelSize, poolStride, pool } = p.options;
  const slots = Array.from({ length: Math.ceil(end(p, b) / poolStride) }, (_, slot) => {
    const start = slot * poolStride;
    const rows = g.rows(x, start, Math.min(end(p, b), start + kernelSize));
    if (pool === 'max') return g.transpose(g.rowMax(g.transpose(rows)));
    if (pool === 'mean') return g.scale(g.columnSum(rows), 1 / rows.rows);
    const centre = Math.min(end(p, b) - 1, start + Math.floor(kernelSize / 2));
    const logits = g.matmul(g.rows(x, centre, centre + 1), p.parameter(kernel, h));
    return g.matmul(g.softmax(g.columns(logits, 0, rows.rows)), rows);
  });
  return g.concatRows(slots);
}

const oracle = perHead<Options>((g, p, b, h) => {
  const { radius, poolRadius, kernelSize, poolStride, levels } = p.options;
  const near = g.softmax(scoresOf(g, p, b, h), (i, j) => p.allowed(b, h, i, j) && Math.abs(i - j) <= radius);
  const y = g.matmul(near, p.v(b, h));
  if (levels === 1) return y;
  const [q, k, v] = (['levelQ', 'levelK', 'levelV'] as const).map((name) => g.matmul(y, p.parameter(name, h)));
  const keys = pooled(g, p, b, h, k!, 'poolK');
  const scores = g.scale(g.matmulT(q!, keys), p.scale);
  const centre = (slot: number): number => slot * poolStride + (kernelSize - 1) / 2;
  const weights = g.softmax(scores, (i, slot) => Math.abs(i - centre(slot)) <= poolRadius);
  return g.add(y, g.matmul(weights, pooled(g, p, b, h, v!, 'poolV')));
});

/** Identities, and dynamic weights of a mean, as drawn. */
const asDrawn = (_: string, __: readonly number[], drawn: Float32Array): Float32Array => drawn;

gate(poolingformer, {
  oracle,
  options: [
    { radius: 2, poolRadius: 6, kernelSize: 3, poolStride: 2 },
    { radius: 1, poolRadius: 8, kernelSize: 4, poolStride: 3, pool: 'mean' },
    { radius: 2, poolRadius: 5, kernelSize: 3, poolStride: 5, pool: 'max' },
    { radius: 3, levels: 1 },
  ],
  draw: (next) => ({
    radius: Math.floor(4 * next()),
    poolRadius: Math.floor(12 * next()),
    kernelSize: 1 + Math.floor(5 * next()),
    poolStride: 1 + Math.floor(4 * next()),
    pool: (['mean', 'max', 'ldconv'] as const)[Math.floor(3 * next())]!,
    levels: next() < 0.9 ? 2 : 1,
  }),
  exactWhen: [
    { options: { radius: 16, levels: 1 } },
    {
      // level 2 is full attention over the output of level 1, here its values
      options: { radius: 0, poolRadius: 16, kernelSize: 1, poolStride: 1, pool: 'mean' },
      parameters: asDrawn,
      equals: perHead((g, p, b, h) => {
        const v = p.v(b, h);
        return g.add(v, g.matmul(g.softmax(g.scale(g.matmulT(v, v), p.scale)), v));
      }),
    },
  ],
  weights: 'none',
});

describe('pairs', () => {
  const shape = { B: 1, H: 1, G: 1, L: 4096, S: 4096, D: 64, E: 64 };
  test('a window of 2r + 1 keys and one of about 2·poolRadius/stride pooled ones', () => {
    const window = 4096 * 257 - 128 * 129;
    expect(poolingformer.cost(shape, { levels: 1 }).pairs).toBe(window);
    const slots = poolingformer.cost(shape).pairs! - window;
    // centres are 4p + 2: of 1023 distances up to 512, and 512 itself for even queries
    let counted = 0;
    for (let i = 0; i < 4096; i++) for (let p = 0; p < 1024; p++) counted += Number(Math.abs(i - 4 * p - 2) <= 512);
    expect(slots).toBe(counted);
    expect(Math.abs(slots / (4096 * 256) - 1)).toBeLessThan(0.07);
  });
});
