import { expect, test } from 'vitest';
import { IGNORED, readConfig, Transformer } from '../../src/models/index.js';
import { document } from '../../src/masks/index.js';
import { noGradient, scope } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { full } from '../support/full.js';
import { fill } from '../nn/check.js';
import { checkModel, tokensOf } from './check.js';
import { FunnelOracle } from './funnel-oracle.js';

const small = { kind: 'encoder', vocabulary: 10, width: 8, heads: 2, length: 7, feedForward: { hidden: 12 } };
const blocks = (pooling: object | string): object[] => [
  {},
  { as: 0 },
  { pooling },
  {},
  { pooling },
  { pooling: 'restore' },
];
const tokens = [3, 1, 4, 1, 5, 9, 2];

const cases: readonly (readonly [what: string, tokens: number, config: object])[] = [
  ['rope, norms first', 7, { position: 'rope', layers: blocks('mean') }],
  [
    'published: relative, norms after, biases',
    6,
    { position: 'transformer-xl', norm: { kind: 'layer', place: 'post' }, bias: true, layers: blocks('mean') },
  ],
  [
    'a layer that pools, passed once more',
    6,
    {
      position: { method: 'transformer-xl', components: 6 },
      norm: { kind: 'layer', place: 'post' },
      bias: 'kv-out',
      layers: [{}, { pooling: 'mean' }, { as: 1 }, { pooling: 'restore' }, { as: 0 }],
    },
  ],
  [
    'keys of pooled rows too, passed once more',
    6,
    {
      position: { method: 'transformer-xl', components: 6 },
      norm: { kind: 'layer', place: 'post' },
      layers: [{}, { pooling: { kind: 'mean', keys: true } }, { as: 1 }, { pooling: 'restore' }],
    },
  ],
  [
    'keys of larger numbers, norms first, rope',
    7,
    { position: 'rope', layers: [{}, { pooling: { kind: 'max', keys: true } }, {}, { pooling: 'restore' }] },
  ],
  [
    'relative, larger numbers, nothing left out',
    6,
    { position: 'transformer-xl', layers: blocks({ kind: 'max', truncate: false }) },
  ],
  [
    'relative without a class',
    9,
    { position: 'transformer-xl', layers: blocks({ kind: 'mean', separateClass: false }) },
  ],
  ['learned positions', 6, { position: 'learned', layers: [{}, { pooling: 'mean' }, {}] }],
];

const paddings: readonly (readonly [what: string, length: number, pooling: object])[] = [
  ['a class, none left out', 6, { kind: 'mean', truncate: false }],
  ['a class, one left out', 6, { kind: 'mean' }],
  ['the class apart, the partner of one padded', 5, { kind: 'max' }],
  ['no class', 5, { kind: 'max', separateClass: false }],
  ['the class alone', 1, { kind: 'mean' }],
];

onEveryDevice((on) => {
  const modelOf = (config: object): Transformer => {
    const model = new Transformer(readConfig({ ...small, ...config }));
    fill(model, on.device, 5);
    return model;
  };
  const hiddenOf = async (model: Transformer) => {
    const out = scope(() => noGradient(() => model.hidden(tokensOf(on.device, tokens))));
    const data = await out.data();
    out.dispose();
    return data;
  };

  test.each(full ? cases : cases.slice(0, 5))(
    '%s: the loss and all gradients are those of the formula',
    async (name, length, config) => {
      const model = new Transformer(readConfig({ ...small, ...config }));
      const input = tokens.slice(0, length);
      const rows = model.stack.rowsFor(length);
      const targets = input.slice(0, rows);
      await checkModel(on.device, {
        name,
        module: model,
        weights: [1],
        run: () => [model.loss({ tokens: tokensOf(on.device, input), targets: tokensOf(on.device, targets) }).loss],
        oracle: (g, parameter) => {
          const oracle = new FunnelOracle(g, model.config, parameter);
          return [oracle.lossAt(oracle.hidden(input), targets)];
        },
      });
      model.dispose();
    },
  );

  test('segments, a class of its own kind, and many sines: the loss and all gradients are those of the formula', async () => {
    const segments = { types: 3, class: 2 };
    const position = { method: 'transformer-xl', segments, components: 6 };
    const model = new Transformer(readConfig({ ...small, position, layers: blocks('mean'), residual: 'checkpointed' }));
    const types = [2, 0, 0, 1, 2, 1, 0];
    await checkModel(on.device, {
      name: 'segments',
      module: model,
      weights: [1],
      run: () => {
        const input = tokensOf(on.device, tokens);
        const context = { types: tokensOf(on.device, types) };
        return [
          model.ends.loss(model.stack.forward(model.ends.embed(input, undefined), context).stream, { targets: input })
            .loss,
        ];
      },
      oracle: (g, parameter) => {
        const oracle = new FunnelOracle(g, model.config, parameter);
        oracle.types = types;
        return [oracle.lossAt(oracle.hidden(tokens), tokens)];
      },
    });
    model.dispose();
  });

  test.each(paddings.slice(0, full ? Infinity : 1))(
    '%s: a row of %i tokens, padded to 7, is as it is alone',
    async (name, length, pooling) => {
      const model = new Transformer(readConfig({ ...small, position: 'transformer-xl', layers: blocks(pooling) }));
      const short = tokens.slice(0, length).reverse();
      const padding = new Array<number>(7 - length);
      await checkModel(on.device, {
        name,
        module: model,
        weights: [1],
        run: () => {
          const input = tokensOf(on.device, [...tokens, ...short, ...padding.fill(7)], 2);
          const targets = tokensOf(on.device, [...tokens, ...short, ...padding.fill(IGNORED)], 2);
          return [model.loss({ tokens: input, targets, lengths: [7, length] }).loss];
        },
        oracle: (g, parameter) => {
          const oracle = new FunnelOracle(g, model.config, parameter);
          const of = (input: readonly number[]) =>
            g.scale(oracle.lossAt(oracle.hidden(input), input), input.length / (7 + length));
          return [g.add(of(tokens), of(short))];
        },
      });
      model.dispose();
    },
  );

  test('the same bits where groups are computed again, and refusals', async () => {
    const config = { position: 'rope', layers: blocks('mean') };
    const [plain, grouped] = [modelOf(config), modelOf({ ...config, residual: 'checkpointed' })];
    expectSameBits('hidden', await hiddenOf(grouped), await hiddenOf(plain));
    scope(() => {
      const batch = { tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, tokens) };
      expect(() => plain.loss({ ...batch, mask: document(tokens) })).toThrow('other rows than those that mask names');
    });
    plain.dispose();
    grouped.dispose();
  });
});

test.each([
  [{ kind: 'decoder', layers: [{ pooling: 'mean' }] }, 'pooling changes the number of rows, so it is for encoders'],
  [{ layers: [{ pooling: 'mean', residual: 'reversible' }] }, 'residual "reversible" is not for it'],
  [{ layers: [{ pooling: 'mean', mixer: 'fnet' }] }, 'leave mixer fnet out'],
  [
    { layers: [{ pooling: 'mean', mechanism: 'sliding-window' }] },
    'sliding-window is exact on its support; take flash',
  ],
  [{ layers: [{ pooling: 'restore' }] }, 'gives back the rows that layers before pooled, and no others'],
  [{ position: 'alibi', layers: [{}, { pooling: 'mean' }] }, 'position alibi counts rows and not tokens'],
  [
    { layers: [{ pooling: 'mean' }, { pooling: { kind: 'mean', truncate: false } }] },
    'with the same separateClass, truncate and asPublished',
  ],
  [{ layers: [{ pooling: 'mean' }, { pooling: { kind: 'restore', truncate: true } }] }, 'leave its options out'],
  [
    { layers: [{}, { pooling: 'mean' }, { as: 0 }] },
    'layer 2 has the weights of layer 0, whose rows stand for another',
  ],
  [{ pooling: 'mean' }, 'pooling is of a layer: give it in layers.'],
  [{ layers: [{}, { as: 1 }] }, 'as is the number of a layer before with weights of its own'],
  [{ layers: [{}, { as: 0, mixer: 'fnet' }] }, 'got 0 beside mixer: leave that out'],
  [{ position: { method: 'transformer-xl', clamp: 4 } }, 'position.clamp is for decoders'],
  [{ position: { method: 'transformer-xl', components: 5 } }, 'position.components must be an even number'],
  [{ position: { method: 'transformer-xl', segments: {} } }, 'position.segments.types is missing'],
  [
    { kind: 'decoder', position: { method: 'transformer-xl', segments: { types: 2 } } },
    'segments are for encoders, and kinds with memory',
  ],
  [{ position: { method: 'rope', segments: { types: 2 } } }, 'position.segments is for method "transformer-xl"'],
  [{ position: 'transformer-xl', mechanism: 'performer' }, 'exact on its pairs; performer is not'],
])('%j is refused', (config, why) => {
  expect(() => readConfig({ ...small, ...config })).toThrow(why);
});

test('a configuration that was written is read again', () => {
  const config = readConfig({ ...small, layers: blocks('max') });
  expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  const pooling = { kind: 'max', separateClass: true, truncate: true };
  const expected = [undefined, undefined, pooling, undefined, pooling, { kind: 'restore' }];
  expect(config.pattern!.map((layer) => layer.pooling)).toEqual(expected);
});
