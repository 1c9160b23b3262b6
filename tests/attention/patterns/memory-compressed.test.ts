import { describe, expect, test } from 'vitest';
import { memoryCompressed } from '../../../src/attention/patterns/memory-compressed.js';
import { disposeAll, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead, rowLogsumexp, type Graph, type Matrix, type OracleProblem } from '../../oracles/graph.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Options {
  readonly factor: number;
  readonly compression: 'convolution' | 'mean';
  readonly firstKey: 'duplicateFirstToken' | 'nullKey';
}
type Problem = OracleProblem<Options>;

const group = ({ H, G }: Problem, h: number): number => Math.floor((h * G) / H);

/** The first row, and one for each whole block. */
function memory(g: Graph, p: Problem, h: number, x: Matrix, name: 'key' | 'value'): Matrix {
  const { factor, compression, firstKey } = p.options;
  const nothing = (): Matrix => p.parameter(name === 'key' ? 'nullKey' : 'nullValue', group(p, h));
  const first = firstKey === 'nullKey' ? nothing() : g.rows(x, 0, 1);
  const blocks = Array.from({ length: Math.floor(p.S / factor) }, (_, t) => {
    const rows = Array.from({ length: factor }, (_unused, i) => g.rows(x, t * factor + i, t * factor + i + 1));
    if (compression === 'mean') return g.scale(g.columnSum(g.concatRows(rows)), 1 / factor);
    const kernel = p.parameter(`${name}Kernel`, group(p, h));
    return g.add(g.matmul(g.concatColumns(rows), kernel), p.parameter(`${name}Bias`, group(p, h)));
  });
  return g.concatRows([first, ...blocks]);
}

const scores = (g: Graph, p: Problem, b: number, h: number): Matrix =>
  g.scale(g.matmulT(p.q(b, h), memory(g, p, h, p.k(b, h), 'key')), p.scale);

const sees = (p: Problem, b: number, i: number, t: number): boolean =>
  (!p.causal || t * p.options.factor <= i + p.S - p.L) && (!p.lengths || t * p.options.factor <= p.lengths[b]!);

gate(memoryCompressed, {
  oracle: perHead<Options>((g, p, b, h) =>
    g.matmul(
      g.softmax(scores(g, p, b, h), (i, t) => sees(p, b, i, t)),
      memory(g, p, h, p.v(b, h), 'value'),
    ),
  ),
  logsumexp: perHead<Options>((g, p, b, h) => rowLogsumexp(g, scores(g, p, b, h), (i, t) => sees(p, b, i, t))),
  options: [{}, { factor: 4, compression: 'mean' }, { factor: 2, firstKey: 'nullKey' }],
  exactWhen: [
    {
      options: { factor: 1, compression: 'mean' },
      causal: false,
      // the first token once more
      equals: perHead((g, p, b, h) => {
        const twice = (x: Matrix): Matrix => g.concatRows([g.rows(x, 0, 1), x]);
        const weights = g.softmax(g.scale(g.matmulT(p.q(b, h), twice(p.k(b, h))), p.scale));
        return g.matmul(weights, twice(p.v(b, h)));
      }),
    },
  ],
  // biases are added whatever the values are
  weights: 'none',
});

describe('pairs', () => {
  const shapeOf = (n: number) => ({ B: 1, H: 1, G: 1, L: n, S: n, D: 64, E: 64 });
  test('causal: f·q·(q + 1)/2 for n = f·q, and n·(⌊n/f⌋ + 1) both ways', () => {
    for (const [factor, blocks] of [
      [1, 7],
      [3, 100],
      [5, 13],
    ] as const) {
      const shape = shapeOf(factor * blocks);
      const causal = memoryCompressed.cost(shape, { factor, causal: true }).pairs;
      expect(causal).toBe((factor * blocks * (blocks + 1)) / 2);
      expect(memoryCompressed.cost(shape, { factor }).pairs).toBe(factor * blocks * (blocks + 1));
    }
    expect(memoryCompressed.cost(shapeOf(3000)).pairs).toBe(3000 * 1001);
  });
});

onEveryDevice((on) => {
  test('the last n mod factor tokens are never keys, and a query sees whole blocks before it only', async () => {
    const [n, D] = [11, 8];
    const [q, k] = [1, 2].map((seed) => tensor(normal(seed, n * D), [1, 1, n, D], { device: on.device }));
    // values that name their token
    const values = tensor(
      Float32Array.from({ length: n * n }, (_, i) => Number(i % n === Math.floor(i / n))),
      [1, 1, n, n],
      {
        device: on.device,
      },
    );
    const seen = async (causal: boolean): Promise<number[][]> => {
      const { out, logsumexp } = memoryCompressed.run(q!, k!, values, { compression: 'mean', causal });
      const data = await out.data();
      disposeAll([out, logsumexp!]);
      return Array.from({ length: n }, (_, i) =>
        Array.from({ length: n }, (_unused, j) => j).filter((j) => data[i * n + j] !== 0),
      );
    };
    expect(new Set((await seen(false)).flat())).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8]));
    const past = await seen(true);
    expect(past[0]).toEqual([0]);
    expect(past[2]).toEqual([0]);
    expect(past[3]).toEqual([0, 1, 2]);
    expect(past[8]).toEqual([0, 1, 2, 3, 4, 5]);
    disposeAll([q!, k!, values] satisfies Tensor[]);
  });
});
