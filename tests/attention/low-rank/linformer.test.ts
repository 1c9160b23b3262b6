// of attention/low-rank/padding

import { expect, test } from 'vitest';
import { linformer } from '../../../src/attention/low-rank/index.js';
import { identity } from '../../../src/attention/index.js';
import { matmul, reshape, transpose } from '../../../src/ops/index.js';
import { scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph, perHead, type Matrix, type OracleProblem } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { readSafetensors, type StoredTensor } from '../../support/safetensors.js';

interface Options {
  readonly projectedLength: number;
  readonly method: string;
  readonly sharing: string;
  readonly maxLength: number;
}

/** First rows of m segments of n rows, and n: the first (s + 1)·m − n have s = ⌊n/m⌋ rows, the others s + 1. */
function starts(n: number, m: number): number[] {
  const s = Math.floor(n / m);
  const all = [0];
  for (let i = 0; i < m; i++) all.push(all.at(-1)! + (i < (s + 1) * m - n ? s : s + 1));
  return all;
}

/** Keys or values of one head, projected; padding is what comes after `length`. */
function project(
  g: Graph,
  p: OracleProblem<Options>,
  all: Matrix,
  length: number,
  parameter: string,
  head: number,
): Matrix {
  const { projectedLength, method, sharing, maxLength } = p.options;
  const x = g.rows(all, 0, length);
  if (method === 'meanPool' || method === 'maxPool') {
    const bounds = starts(length, Math.min(projectedLength, length));
    const rows = bounds.slice(1).map((end, i) => {
      const segment = g.transpose(g.rows(x, bounds[i]!, end));
      return g.transpose(method === 'meanPool' ? g.rowMean(segment) : g.rowMax(segment));
    });
    return g.concatRows(rows);
  }
  const name = sharing === 'kv' || sharing === 'layerwise' ? 'keyProjection' : parameter;
  const projection = p.parameter(name, ...(sharing === 'none' ? [head] : []));
  if (method !== 'convolution') return g.matmul(g.transpose(g.rows(projection, 0, length)), x);
  const window = Math.ceil(maxLength / projectedLength);
  const count = Math.ceil(length / window);
  const filled = g.gatherRows(
    x,
    Array.from({ length: count * window }, (_, i) => (i < length ? i : -1)),
  );
  const rows = Array.from({ length: count }, (_, i) =>
    g.concatColumns(Array.from({ length: window }, (__, j) => g.rows(filled, i * window + j, i * window + j + 1))),
  );
  return g.matmul(g.concatRows(rows), projection);
}

const oracle = perHead<Options>((g, p, b, h) => {
  const length = p.lengths?.[b] ?? p.S;
  const head = Math.floor((h * p.G) / p.H);
  const k = project(g, p, p.k(b, h), length, 'keyProjection', head);
  const v = project(g, p, p.v(b, h), length, 'valueProjection', head);
  return g.matmul(g.softmax(g.scale(g.matmulT(p.q(b, h), k), p.scale)), v);
});

gate(linformer, {
  oracle,
  options: [
    { projectedLength: 5, maxLength: 140 },
    { projectedLength: 4, sharing: 'none' },
    { projectedLength: 5, method: 'meanPool' },
    { projectedLength: 6, method: 'maxPool' },
    { projectedLength: 5, method: 'convolution' },
    { projectedLength: 6, method: 'convolution', sharing: 'kv' },
    { projectedLength: 5, method: 'fixedGaussian', sharing: 'layerwise' },
  ],
  // weights on keys may be negative, where projections are
  weights: 'signed',
  exactWhen: [
    {
      options: { projectedLength: 17, sharing: 'layerwise' },
      parameters: (name, shape) => identity(shape, 0, name),
    },
    { options: { projectedLength: 17, method: 'meanPool' } },
    { options: { projectedLength: 17, method: 'maxPool' } },
  ],
  draw: (next, { S }) => {
    const pick = <T>(...all: readonly T[]): T => all[Math.floor(next() * all.length)]!;
    return {
      projectedLength: 1 + Math.floor(next() * Math.min(12, S)),
      method: pick('learned', 'meanPool', 'maxPool', 'convolution', 'fixedGaussian'),
      sharing: pick('none', 'headwise', 'kv', 'layerwise'),
      ...(next() < 0.5 && { maxLength: S + Math.floor(next() * 20) }),
    };
  },
  refused: [
    { options: { maxLength: 16 } },
    { options: { method: 'meanPool', projectedLength: 18 } },
    { options: { method: 'convolution', sharing: 'kv' }, shape: { E: 5 } },
  ],
});

test('fixed projections are drawn from N(0, 1/k²), learned ones evenly within 1/√k', () => {
  const shape = { B: 1, H: 1, G: 1, L: 512, S: 512, D: 8, E: 8 };
  const drawnWith = (method: 'fixedGaussian' | 'learned'): Float32Array => {
    const specs = linformer.definition.parameters!(
      shape,
      linformer.settle(shape, { method, projectedLength: 16 }).values,
    );
    const { shape: extents, init, learned } = specs.keyProjection!;
    expect(learned).toBe(method === 'learned');
    return init(extents, 3, 'projection');
  };
  const gaussian = drawnWith('fixedGaussian');
  const n = gaussian.length;
  const variance = gaussian.reduce((sum, x) => sum + x * x, 0) / n;
  // six standard deviations of a mean of squares: 6 · √(2/n)
  expect(Math.abs(variance * 16 ** 2 - 1)).toBeLessThan(6 * Math.sqrt(2 / n));
  const sizes = drawnWith('learned').map(Math.abs);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(0.25);
  expect(Math.max(...sizes)).toBeGreaterThan(0.249);
});

test('the cost of the survey’s example: 3.22 G multiply-adds where attention has 25.8 G', () => {
  const shape = { B: 1, H: 12, G: 12, L: 4096, S: 4096, D: 64, E: 64 };
  expect(linformer.cost(shape, { projectedLength: 256 }).multiplyAdds).toBe(3_221_225_472);
  expect(2 * 4096 * 4096 * 768).toBe(25_769_803_776);
});

const [B, n, width, H, D] = [2, 24, 32, 4, 8];

/** A published layer in naive code: projections, attention of 4 heads, output projection. */
function layer(g: Graph, stored: Record<string, StoredTensor>): Float64Array {
  const parameter = (name: string): Matrix => {
    const { data, shape } = stored[`param.${name}`]!;
    return g.constant(data, shape.length > 1 ? shape[0]! : 1, shape.at(-1)!);
  };
  const [keys, values] = ['proj_k', 'proj_v'].map((name) => parameter(stored[`param.${name}`] ? name : 'proj_k'));
  const batches = Array.from({ length: B }, (_, b) => {
    const x = g.constant(stored['in.x']!.data.subarray(b * n * width, (b + 1) * n * width), n, width);
    const [q, k, v] = ['to_q', 'to_k', stored['param.to_v.weight'] ? 'to_v' : 'to_k'].map((name) =>
      g.matmulT(x, parameter(`${name}.weight`)),
    ) as [Matrix, Matrix, Matrix];
    const heads = Array.from({ length: H }, (__, h) => {
      const head = (y: Matrix): Matrix => (y.columns === D ? y : g.columns(y, h * D, (h + 1) * D));
      const rows = (projection: Matrix, y: Matrix): Matrix => g.matmul(g.transpose(projection), head(y));
      const scores = g.scale(g.matmulT(head(q), rows(keys!, k)), D ** -0.5);
      return g.matmul(g.softmax(scores), rows(values!, v));
    });
    return g.add(g.matmulT(g.concatColumns(heads), parameter('to_out.weight')), parameter('to_out.bias'));
  });
  return Float64Array.from(batches.flatMap(({ data }) => Array.from(data)));
}

onEveryDevice((on) => {
  test.each([
    ['headwise', 'headwise'],
    // one key/value head, and values that are the keys
    ['shared', 'kv'],
  ] as const)('a layer of published code: %s', async (name, sharing) => {
    const stored = readSafetensors(new URL(`../../fixtures/linformer/${name}.safetensors`, import.meta.url));
    const exact = layer(new Graph(double), stored);
    const budget = Math.max(
      ...[0, 1, 2, 3, 4].map((order) => budgetOf(exact, layer(new Graph(single, order), stored))),
    );
    expectClose('the published numbers', stored['out.o']!.data, exact, { budget });
    const out = scope(() => {
      const load = (key: string): Tensor => tensor(stored[key]!.data, stored[key]!.shape, { device: on.device });
      const x = load('in.x');
      const heads = (weight: string): Tensor => {
        const y = matmul(x, load(weight), { transposeB: true });
        return transpose(reshape(y, [B, n, y.shape[2]! / D, D]), [0, 2, 1, 3]);
      };
      const q = heads('param.to_q.weight');
      const [k, v] = [heads('param.to_k.weight'), heads(sharing === 'kv' ? 'param.to_k.weight' : 'param.to_v.weight')];
      const parameters = {
        keyProjection: load('param.proj_k'),
        ...(sharing === 'headwise' && { valueProjection: load('param.proj_v') }),
      };
      const attended = linformer.run(q, k, v, { projectedLength: 6, sharing, parameters });
      const merged = reshape(transpose(attended.out, [0, 2, 1, 3]), [B, n, width]);
      return matmul(merged, load('param.to_out.weight'), { transposeB: true, bias: load('param.to_out.bias') });
    });
    expectClose('ours', await out.data(), exact, { budget });
    out.dispose();
  });
});
