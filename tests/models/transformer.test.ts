import { expect, test } from 'vitest';
import type { FloatDtype } from '../../src/core/dtype.js';
import { readConfig } from '../../src/models/config.js';
import { Transformer } from '../../src/models/transformer.js';
import { disposeAll, scope, tensor } from '../../src/tensor/index.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5];
const targets = [1, 4, 1, 5, 9, 2, 6, 5, 3];
const base = { vocabulary: 10, length: tokens.length, layers: 2, width: 12, heads: 2 };

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
  [
    'layers that differ in mechanism, position, feed-forward, norm',
    {
      layers: [
        { mechanism: { name: 'sliding-window', options: { radius: 2 } }, feedForward: { hidden: 9 } },
        { position: 'none', norm: { kind: 'layer' }, feedForward: { gated: true } },
        { position: 'alibi', norm: { place: 'post' } },
      ],
    },
  ],
  [
    'reversible, plain and checkpointed layers',
    {
      layers: 5,
      pattern: [
        { residual: 'reversible' },
        { residual: 'reversible', position: 'none' },
        {},
        { residual: 'checkpointed' },
      ],
    },
  ],
  ['reversible, t5 shared by the layers', { residual: 'reversible', position: 't5', feedForward: { chunk: 2 } }],
];

const inHalves: readonly (readonly [name: string, config: Record<string, unknown>])[] = [
  ['plain', {}],
  ['plain, SwiGLU, post-norm', { feedForward: { gated: true }, norm: { place: 'post' } }],
  ['checkpointed', { residual: 'checkpointed' }],
  ['reversible', { residual: 'reversible' }],
];

onEveryDevice((on) => {
  /** `stored`: what the budgets are of. */
  async function check(
    name: string,
    own: Record<string, unknown>,
    precision: FloatDtype = 'f32',
    stored = precision,
  ): Promise<void> {
    const config = readConfig({ ...base, feedForward: { hidden: 14 }, ...own });
    const model = new Transformer(config);
    try {
      await checkModel(on.device, {
        name,
        module: model,
        weights: [1],
        run: () => [
          model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) }, { precision })
            .loss,
        ],
        oracle(g, parameter) {
          const oracle = new ModelOracle(g, config, parameter);
          oracle.precision = stored;
          return [oracle.loss(tokens, targets)];
        },
      });
    } finally {
      model.dispose();
    }
  }

  test.each(fewNatively(on.kind, models))('%s: the loss and all gradients are those of the formula', (name, own) =>
    check(name, own),
  );

  test.each(fewNatively(on.kind, inHalves, 1))(
    '%s in 16 bits: the loss and all gradients are those of code that stores so',
    async (name, own) => {
      for (const precision of ['f16', 'bf16'] as const) await check(`${name} ${precision}`, own, precision);
      await expect(check(name, own, 'bf16', 'f16')).rejects.toThrow('numbers off');
    },
  );

  test('a batch is its rows apart, and a loss per token has their mean', async () => {
    const model = new Transformer(readConfig(base)).initialise({ device: on.device, seed: 1 });
    const i32 = (data: readonly number[], rows: number) =>
      tensor(Int32Array.from(data), [rows, data.length / rows], { device: on.device });
    const [both, one, two] = scope(() => [
      model.loss(
        { tokens: i32([...tokens, ...targets], 2), targets: i32([...targets, ...tokens], 2) },
        { reduction: 'none' },
      ).loss,
      model.loss({ tokens: i32(tokens, 1), targets: i32(targets, 1) }).loss,
      model.loss({ tokens: i32(targets, 1), targets: i32(tokens, 1) }).loss,
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
        return [
          model.loss({ tokens: input, targets: output }).loss,
          model.loss({ tokens: input, targets: output }, { reduction: 'none' }).loss,
        ];
      });
      const losses = [...(await each.data())];
      expect(losses.filter((loss) => loss === 0)).toHaveLength(3);
      expect(losses.reduce((a, b) => a + b, 0) / 6).toBeCloseTo(await mean.item(), 5);
      disposeAll([mean, each]);
      model.dispose();
    }
  });
});
