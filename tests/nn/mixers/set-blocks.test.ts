// of nn/mixers/{induced-set,pooling-attention,set-attention}

import { expect, test } from 'vitest';
import { mixer } from '../../../src/nn/mixers/registry.js';
import { setBlock } from '../../../src/nn/mixers/set-block.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { transpose } from '../../../src/ops/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph, type Matrix } from '../../oracles/graph.js';
import * as oracles from '../../oracles/set-block.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { readSafetensors, type StoredTensor } from '../../support/safetensors.js';
import { fill } from '../check.js';
import { checkRealRows, sizes, streamOf } from './check.js';

const two = { ...sizes, features: 6, heads: 2, headDim: 3 };
const inBlock = (block: string, p: (name: string) => Matrix) => (name: string) =>
  p(`${block}${name[0]!.toUpperCase()}${name.slice(1)}`);

/** The names of published code for ours. */
const names = { query: 'fc_q', key: 'fc_k', value: 'fc_v', out: 'fc_o', attended: 'ln0', fed: 'ln1' };

/** Where a parameter of ours lies in a file; undefined where it is not there. */
function find(stored: Record<string, StoredTensor>, block: string, name: string): StoredTensor | undefined {
  const own = name.replace(/(Bias|Scale)$/, '') as keyof typeof names;
  return stored[`param.${block}.${names[own]}.${name.endsWith('Bias') ? 'bias' : 'weight'}`];
}

const isMatrix = (name: string): boolean => name in names;

onEveryDevice((on) => {
  test.each([false, true])('set-attention is MAB(x, x), norms inside: %s', async (norm) => {
    const options = { norm };
    const own = (p: (name: string) => Matrix) => (name: string) =>
      name.endsWith('Scale') || ['attendedBias', 'fedBias'].includes(name) ? (norm ? p(name) : undefined) : p(name);
    await checkRealRows(
      on.device,
      mixer('set-attention'),
      options,
      (g, x, p) => oracles.setBlock(g, x, x, own(p), 2),
      two,
    );
  });

  test('induced-set is MAB(x, MAB(I, x))', async () => {
    const without = (p: (name: string) => Matrix) => (name: string) => (name.endsWith('Scale') ? undefined : p(name));
    const formula = (g: Graph, x: Matrix, p: (name: string) => Matrix): Matrix => {
      const points = oracles.setBlock(g, p('points'), x, without(inBlock('inner', p)), 2);
      return oracles.setBlock(g, x, points, without(inBlock('outer', p)), 2);
    };
    await checkRealRows(on.device, mixer('induced-set'), { points: 3 }, formula, two);
  });

  test('pooling-attention is MAB(S, x)', async () => {
    const without = (p: (name: string) => Matrix) => (name: string) => (name.endsWith('Scale') ? undefined : p(name));
    await checkRealRows(
      on.device,
      mixer('pooling-attention'),
      { seeds: 2 },
      (g, x, p) => oracles.setBlock(g, p('seeds'), x, without(p), 2),
      two,
    );
  });

  test.each([
    ['set-attention', {}, true],
    ['induced-set', { points: 3 }, true],
    ['pooling-attention', { seeds: 2 }, false],
  ] as const)('%s: elements in another order', async (name, options, follows) => {
    const module = mixer(name).create(two, options);
    fill(module, on.device, 3);
    const x = uniform(5, 42);
    const turned = (all: ArrayLike<number>): Float32Array =>
      Float32Array.from(all, (_, i) => all[all.length - 6 - 6 * Math.floor(i / 6) + (i % 6)]!);
    const outs = scope(() =>
      [x, turned(x)].map((data) => streamOf(module, tensor(data, [1, 7, 6], { device: on.device }))),
    );
    const [one, other] = await Promise.all(outs.map((out) => out.data()));
    expectClose('in another order', other!, follows ? turned(one!) : one!, { budget: 2 ** -18 });
    disposeAll(outs);
    module.dispose();
  });

  test.each(['sab', 'isab', 'pma'])('a block of published code: %s', async (file) => {
    const stored = readSafetensors(new URL(`../../fixtures/set-transformer/${file}.safetensors`, import.meta.url));
    const given = stored['in.x']!;
    const [B, n, columns] = given.shape as [number, number, number];
    const blocks = file === 'isab' ? ['mab0', 'mab1'] : ['mab'];
    const first = { sab: undefined, isab: 'param.I', pma: 'param.S' }[file];
    const byFormula = (g: Graph): Float64Array => {
      const parameter = (block: string) => (name: string) => {
        const x = find(stored, block, name);
        if (!x) return undefined;
        const [rows, width] = x.shape.length > 1 ? (x.shape as [number, number]) : [1, x.shape[0]!];
        const matrix = g.constant(x.data, rows, width);
        return isMatrix(name) ? g.transpose(matrix) : matrix;
      };
      const batches = Array.from({ length: B }, (_, b) => {
        const x = g.constant(given.data.subarray(b * n * columns, (b + 1) * n * columns), n, columns);
        if (first === undefined) return oracles.setBlock(g, x, x, parameter('mab'), 4);
        const { data, shape } = stored[first]!;
        const points = g.constant(data, shape[1]!, shape[2]!);
        const inner = oracles.setBlock(g, points, x, parameter(blocks[0]!), 4);
        return blocks.length === 1 ? inner : oracles.setBlock(g, x, inner, parameter('mab1'), 4);
      });
      return Float64Array.from(batches.flatMap(({ data }) => Array.from(data)));
    };
    const exact = byFormula(new Graph(double));
    const budget = Math.max(...[0, 1, 2, 3, 4].map((order) => budgetOf(exact, byFormula(new Graph(single, order)))));
    expectClose('the published numbers', stored['out.o']!.data, exact, { budget });
    const out = scope(() => {
      const load = ({ data, shape }: StoredTensor): Tensor =>
        tensor(Float32Array.from(data), shape, { device: on.device });
      const parameter = (block: string) => (name: string) => {
        const x = find(stored, block, name);
        return x && (isMatrix(name) ? transpose(load(x)) : load(x));
      };
      const x = load(given);
      if (first === undefined) return setBlock([x, x], parameter('mab'), 4);
      const { data, shape } = stored[first]!;
      const points = load({
        data: Float32Array.from({ length: B * data.length }, (_, i) => data[i % data.length]!),
        shape: [B, ...shape.slice(1)],
      });
      const inner = setBlock([points, x], parameter(blocks[0]!), 4);
      return blocks.length === 1 ? inner : setBlock([x, inner], parameter('mab1'), 4);
    });
    expectClose('ours', await out.data(), exact, { budget });
    out.dispose();
  });
});

test('say how many rows they give, and what they do not take', () => {
  expect(mixer('pooling-attention').create(sizes).resize?.(500)).toBe(1);
  for (const name of ['set-attention', 'induced-set', 'pooling-attention']) {
    expect(() => mixer(name).create({ ...sizes, causal: true })).toThrow(`${name}: has no causal form`);
    expect(() => mixer(name).create({ ...sizes, headDim: 4 })).toThrow('takes heads that make up the 5 features');
  }
});
