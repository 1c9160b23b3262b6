import { expect, test } from 'vitest';
import { lunaMixer } from '../../../src/nn/mixers/luna.js';
import { createModel, readConfig } from '../../../src/models/index.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import type { Graph, Matrix } from '../../oracles/graph.js';
import { byHeads } from '../../oracles/set-block.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { fill } from '../check.js';
import { checkRealRows, sizes, streamOf } from './check.js';

const two = { ...sizes, features: 6, heads: 2, headDim: 3 };
const memory = 2;

/** The memory and the tokens after a layer (Ma et al. 2021, equations 1 to 4, with tied keys and values). */
function layer(g: Graph, before: Matrix, tokens: Matrix, p: (name: string) => Matrix): readonly [Matrix, Matrix] {
  const heads = (q: Matrix, k: Matrix): Matrix => byHeads(g, [q, k, k], 2, 3 ** -0.5);
  const packed = heads(g.matmul(before, p('pack')), g.matmul(tokens, p('context')));
  const unpacked = heads(g.matmul(tokens, p('query')), g.matmul(packed, p('unpack')));
  return [g.add(before, packed), g.add(tokens, g.matmul(unpacked, p('out')))];
}

onEveryDevice((on) => {
  const check = (
    options: object,
    formula: (g: Graph, x: Matrix, p: (name: string) => Matrix) => Matrix,
    rows: number[],
  ) => checkRealRows(on.device, lunaMixer, { memory, ...options }, formula, { ...two, rows });

  test('a first layer puts its memory before the tokens, one between hands it on, a last one leaves it', async () => {
    await check({ closes: false }, (g, x, p) => g.concatRows(layer(g, p('memory'), x, p)), [7, 1]);
    const cut = (g: Graph, x: Matrix) => [g.rows(x, 0, memory), g.rows(x, memory, x.rows)] as const;
    await check({ opens: false, closes: false }, (g, x, p) => g.concatRows(layer(g, ...cut(g, x), p)), [7, 3]);
    await check({ opens: false }, (g, x, p) => layer(g, ...cut(g, x), p)[1], [7, 3]);
    await check({}, (g, x, p) => layer(g, p('memory'), x, p)[1], [7, 1]);
  });

  test('tokens in another order leave the memory as it is, and follow', async () => {
    const module = lunaMixer.create(two, { memory, closes: false });
    fill(module, on.device, 3);
    const x = uniform(5, 42);
    const turned = x.map((_, at) => x[36 - 6 * Math.floor(at / 6) + (at % 6)]!);
    const outs = scope(() =>
      [x, turned].map((data) => streamOf(module, tensor(data, [1, 7, 6], { device: on.device }))),
    );
    const [one, other] = (await Promise.all(outs.map((out) => out.data()))) as [Float32Array, Float32Array];
    const end = 6 * memory;
    expectClose('memory', other.subarray(0, end), one.subarray(0, end), { budget: 2 ** -19 });
    const follows = one.subarray(end).map((_, at, all) => all[36 - 6 * Math.floor(at / 6) + (at % 6)]!);
    expectClose('tokens', other.subarray(end), follows, { budget: 2 ** -19 });
    for (const out of outs) out.dispose();
    module.dispose();
  });

  test('refuses rows that have no memory before them', () => {
    const module = lunaMixer.create(two, { memory: 7, opens: false });
    fill(module, on.device, 3);
    scope(() => {
      const x = tensor(uniform(5, 42), [1, 7, 6], { device: on.device });
      expect(() => streamOf(module, x)).toThrow('takes 7 rows of memory and tokens after them; got [1,7,6]');
    });
    module.dispose();
  });

  test('a model of three layers has one memory', () => {
    const options = { memory: 3 };
    const model = createModel(
      readConfig({
        kind: 'encoder',
        vocabulary: 10,
        width: 8,
        heads: 2,
        length: 8,
        feedForward: { hidden: 12 },
        layers: [{ closes: false }, { opens: false, closes: false }, { opens: false }].map((one) => ({
          mixer: { name: 'luna', options: { ...options, ...one } },
        })),
      }),
    );
    const names = [...model.namedParameters().keys()].filter((name) => name.endsWith('mixer.memory'));
    expect(names).toHaveLength(1);
    model.dispose();
  });
});

test('says how many rows it gives, and what it does not take', () => {
  const rows = (options: object): number | undefined => lunaMixer.create(two, { memory, ...options }).resize?.(7);
  expect([rows({}), rows({ closes: false }), rows({ opens: false })]).toEqual([7, 9, 5]);
  expect(() => lunaMixer.create({ ...two, causal: true }, { memory })).toThrow('luna: has no causal form');
  expect(() => lunaMixer.create({ ...two, headDim: 4 }, { memory })).toThrow('takes heads that make up the 6 features');
});
