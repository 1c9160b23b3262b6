import { expect, test } from 'vitest';
import { readConfig } from '../../src/models/config.js';
import { Transformer } from '../../src/models/transformer.js';
import { disposeAll, gradients, scope, tensor } from '../../src/tensor/index.js';
import type { CpuDevice } from '../../src/devices/index.js';
import { fill } from '../nn/check.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph, type Matrix } from '../oracles/graph.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { ModelOracle } from './oracle.js';

const ORDERS = 6;
const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5];
const targets = [1, 4, 1, 5, 9, 2, 6, 5, 3];
const base = { vocabulary: 10, length: tokens.length, layers: 2, width: 12, heads: 2 };

type Results = Record<string, ArrayLike<number>>;

const models: readonly (readonly [name: string, config: Record<string, unknown>])[] = [
  ['plain, rope', {}],
  ['grouped heads, SwiGLU, untied', { heads: 3, kvHeads: 1, feedForward: { gated: true }, tied: false }],
  [
    'post-norm, layer norm, sinusoidal, biases',
    { norm: { place: 'post', kind: 'layer' }, position: 'sinusoidal', bias: true },
  ],
  [
    'learned positions, sliding window',
    { position: 'learned', mechanism: { name: 'sliding-window', options: { radius: 2 } } },
  ],
  ['alibi, chunked feed-forward and loss', { position: 'alibi', feedForward: { chunk: 4 }, lossChunk: 4 }],
  ['t5', { position: 't5' }],
  ['encoder, t5', { kind: 'encoder', position: 't5' }],
  ['checkpointed', { residual: 'checkpointed', position: 't5' }],
  ['checkpointed by groups', { residual: { kind: 'checkpointed', every: 2 }, layers: 3 }],
  ['reversible', { residual: 'reversible', layers: 3 }],
  ['reversible, t5 shared by the layers', { residual: 'reversible', position: 't5', feedForward: { chunk: 2 } }],
];

onEveryDevice((on) => {
  test.each(models)('%s: the loss and all gradients are those of the formula', async (name, own) => {
    const config = readConfig({ ...base, feedForward: { hidden: 14 }, ...own });
    await checkModel(on.device, name, new Transformer(config));
  });

  test('a batch is its rows apart, and a loss per token has their mean', async () => {
    const model = new Transformer(readConfig(base)).initialise({ device: on.device, seed: 1 });
    const i32 = (data: readonly number[], rows: number) =>
      tensor(Int32Array.from(data), [rows, data.length / rows], { device: on.device });
    const [both, one, two] = scope(() => [
      model.loss(i32([...tokens, ...targets], 2), i32([...targets, ...tokens], 2), { reduction: 'none' }).loss,
      model.loss(i32(tokens, 1), i32(targets, 1)).loss,
      model.loss(i32(targets, 1), i32(tokens, 1)).loss,
    ]);
    const each = [...(await both.data())];
    const mean = (from: number[]): number => from.reduce((a, b) => a + b, 0) / from.length;
    expect(mean(each.slice(0, 9))).toBeCloseTo(await one.item(), 5);
    expect(mean(each.slice(9))).toBeCloseTo(await two.item(), 5);
    disposeAll([both, one, two]);
    model.dispose();
  });

  test('targets of −100 count for nothing, in chunks too', async () => {
    const some = targets.map((target, i) => (i % 3 === 0 ? -100 : target));
    for (const lossChunk of [0, 2]) {
      const model = new Transformer(readConfig({ ...base, lossChunk })).initialise({ device: on.device, seed: 1 });
      const [mean, each] = scope(() => {
        const input = tensor(Int32Array.from(tokens), [1, 9], { device: on.device });
        const output = tensor(Int32Array.from(some), [1, 9], { device: on.device });
        return [model.loss(input, output).loss, model.loss(input, output, { reduction: 'none' }).loss];
      });
      const losses = [...(await each.data())];
      expect(losses.filter((loss) => loss === 0)).toHaveLength(3);
      expect(losses.reduce((a, b) => a + b, 0) / 6).toBeCloseTo(await mean.item(), 5);
      disposeAll([mean, each]);
      model.dispose();
    }
  });
});

async function checkModel(device: CpuDevice, name: string, model: Transformer): Promise<void> {
  const parameters = fill(model, device, 7);
  const evaluate = (g: Graph): Results => {
    const matrices = new Map<string, Matrix>();
    for (const [key, { spec }] of model.namedParameters()) {
      const [rows, width] = spec.shape.length === 1 ? [1, spec.shape[0]!] : (spec.shape as [number, number]);
      matrices.set(key, g.input(parameters.get(key)!, rows, width));
    }
    const loss = new ModelOracle(g, model.config, (key) => matrices.get(key)!).loss(tokens, targets);
    const found = g.gradients([loss], [[1]], [...matrices.values()]);
    return { loss: loss.data, ...Object.fromEntries([...matrices.keys()].map((key, i) => [key, found[i]!])) };
  };
  const exact = evaluate(new Graph(double));
  const plain = Array.from({ length: ORDERS }, (_, order) => evaluate(new Graph(single, order)));
  const names = [...model.namedParameters().keys()];
  const tensors = scope(() => {
    const input = tensor(Int32Array.from(tokens), [1, tokens.length], { device });
    const { loss } = model.loss(input, tensor(Int32Array.from(targets), [1, targets.length], { device }));
    return [
      loss,
      ...gradients(
        [loss],
        [...model.namedParameters().values()].map(({ value }) => value),
      ),
    ];
  });
  const got = await Promise.all(tensors.map((one) => one.data()));
  disposeAll(tensors);
  for (const [i, key] of ['loss', ...names].entries()) {
    const want = exact[key]!;
    const budget = Math.max(...plain.map((one) => budgetOf(want, one[key])));
    expectClose(`${name}: ${key}`, got[i]!, want, { budget });
  }
  model.dispose();
}
