import { expect, test } from 'vitest';
import { everyLayer, layersOf, mechanismNames } from '../../src/models/config-layers.js';
import { integer } from '../../src/attention/index.js';
import { readConfig } from '../../src/models/config.js';
import { registerFeedForward } from '../../src/models/index.js';
import { DenseFeedForward, defineFeedForward } from '../../src/nn/index.js';

const window = { name: 'sliding-window', options: { radius: 8 } };
const sizes = { width: 16, heads: 2, length: 32 };

test('a list of layers, and a pattern that repeats', () => {
  const listed = readConfig({ ...sizes, layers: [{ mechanism: window }, { mechanism: 'flash' }] });
  expect(listed.layers).toBe(2);
  expect(layersOf(listed).map(({ mechanism }) => mechanism.name)).toEqual(['sliding-window', 'flash']);
  const repeated = readConfig({ ...sizes, layers: 5, pattern: [{ mechanism: window }, {}] });
  expect(layersOf(repeated).map(({ mechanism }) => mechanism.name)).toEqual([
    'sliding-window',
    'flash',
    'sliding-window',
    'flash',
    'sliding-window',
  ]);
  expect(mechanismNames(repeated)).toBe('sliding-window and flash');
});

test('a layer has what the model has where it says nothing else', () => {
  const model = {
    ...sizes,
    mechanism: window,
    feedForward: { hidden: 20, chunk: 4 },
    norm: { kind: 'layer' },
    position: 'alibi',
  };
  const [first, second] = layersOf(
    readConfig({
      ...model,
      layers: [{ mechanism: { options: { radius: 3 } }, feedForward: { hidden: 10 } }, { position: 'none' }],
    }),
  );
  const whole = readConfig(model);
  expect(first).toEqual({
    mechanism: { name: 'sliding-window', options: { radius: 3 } },
    position: whole.position,
    feedForward: { ...whole.feedForward, hidden: 10 },
    norm: whole.norm,
    residual: whole.residual,
  });
  expect(second).toEqual({
    ...first,
    mechanism: whole.mechanism,
    feedForward: whole.feedForward,
    position: { method: 'none' },
  });
});

test('feed-forward layers by name: sizes stay from layer to layer, options with their layer', () => {
  const own = defineFeedForward({
    name: 'own',
    summary: 'A product.',
    paper: { authors: 'Nobody', title: 'None', year: 2026 },
    formula: 'x·W',
    options: { copies: integer({ min: 1, default: 2, help: 'how often' }) },
    defaults: { gated: true, activation: 'gelu' },
    supports: { causal: false, activation: false },
    create: ({ features }) => new DenseFeedForward(features, 2),
  });
  expect(readConfig(sizes).feedForward).toEqual({
    name: 'dense',
    options: {},
    hidden: 64,
    activation: 'gelu',
    gated: false,
    chunk: 0,
  });
  const encoder = { ...sizes, kind: 'encoder', feedForward: { hidden: 20 } };
  expect(() => readConfig({ ...encoder, feedForward: 'own' })).toThrow('unknown feed-forward "own"');
  const forget = registerFeedForward(own, { plugin: '/mine.mjs' });
  try {
    const config = readConfig({ ...encoder, layers: 4, pattern: [{}, { feedForward: 'own' }] });
    expect(layersOf(config).map(({ feedForward }) => feedForward.name)).toEqual(['dense', 'own', 'dense', 'own']);
    expect(config.pattern![1]!.feedForward).toEqual({
      name: 'own',
      options: {},
      plugin: '/mine.mjs',
      hidden: 20,
      activation: 'gelu',
      gated: true,
      chunk: 0,
    });
    expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    const options = { ...encoder, feedForward: { name: 'own', options: { copies: 3 } } };
    const three = readConfig({
      ...options,
      layers: [{ feedForward: { hidden: 8 } }, { feedForward: 'dense' }, { feedForward: { options: { copies: 4 } } }],
    });
    expect(layersOf(three).map(({ feedForward }) => [feedForward.name, feedForward.options])).toEqual([
      ['own', { copies: 3 }],
      ['dense', {}],
      ['own', { copies: 4 }],
    ]);
    expect('plugin' in layersOf(three)[1]!.feedForward).toBe(false);
    const read = (feedForward: unknown, kind: string) => () => readConfig({ ...sizes, kind, feedForward });
    const refused: readonly (readonly [unknown, string, kind?: string])[] = [
      ['own', 'own: has no causal form; take it for an encoder.', 'decoder'],
      [{ name: 'own', options: { copies: 0 } }, 'own: copies must be a whole number of at least 1; got 0.'],
      [{ name: 'own', activation: 'relu', chunk: 2 }, 'own has no use for activation and chunk; leave it out.'],
      [{ name: 'own', plugin: 3 }, 'feedForward.plugin must be'],
    ];
    for (const [section, sentence, kind = 'encoder'] of refused) expect(read(section, kind)).toThrow(sentence);
  } finally {
    forget();
  }
  expect(() => readConfig({ ...encoder, feedForward: { name: 'own', plugin: '/mine.mjs' } })).toThrow(
    'feed-forward "own" came from /mine.mjs, which is not loaded: pass --plugin /mine.mjs',
  );
});

test('what is complete is read as itself, and layers that are alike are not written', () => {
  const config = readConfig({ ...sizes, layers: 4, pattern: [{ mechanism: window }, { residual: 'checkpointed' }] });
  expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  expect('pattern' in readConfig(sizes)).toBe(false);
});

test('options that change with the depth: windows and dilations of the paper', () => {
  const config = readConfig({
    ...sizes,
    layers: 4,
    mechanism: { name: 'longformer', options: { globals: [] } },
    schedules: { radius: [2, 8], dilations: [{ layer: 2, dilation: 2 }] },
  });
  expect(layersOf(config).map(({ mechanism }) => mechanism.options)).toEqual([
    { globals: [], radius: 2, dilations: [1, 1] },
    { globals: [], radius: 4, dilations: [1, 1] },
    { globals: [], radius: 6, dilations: [2, 2] },
    { globals: [], radius: 8, dilations: [2, 2] },
  ]);
});

test('a change of every layer changes the pattern too', () => {
  const config = readConfig({ ...sizes, layers: [{ feedForward: { hidden: 8 } }, {}] });
  const chunked = everyLayer(config, ({ feedForward }) => ({ feedForward: { ...feedForward, chunk: 2 } }));
  expect(layersOf(chunked).map(({ feedForward }) => [feedForward.hidden, feedForward.chunk])).toEqual([
    [8, 2],
    [64, 2],
  ]);
});

test.each([
  [{ layers: [{}], pattern: [{}] }, /takes one of pattern and a list of layers/],
  [{ layers: [] }, /layers must be a list of objects, one a layer/],
  [{ pattern: ['flash'] }, /pattern must be a list of objects/],
  [{ pattern: [{ heads: 2 }] }, /layer 0 of the pattern: unknown option "heads"; known are sizes, mechanism, /],
  [{ pattern: [{}, { mechanism: { name: 'linformer' } }] }, /layer 1 of the pattern: linformer/],
  [{ pattern: [{ position: 'learned' }] }, /position learned is added before the first layer/],
  [{ kind: 'transformer-xl', pattern: [{ residual: 'reversible' }] }, /takes residual "plain"/],
  [{ schedules: { radius: 3 } }, /schedules\.radius must be a pair of sizes/],
  [{ schedules: {} }, /schedules must be an object/],
  [{ schedules: { radius: [1, 2] } }, /radius/],
])('%j is refused', (own, message) => {
  expect(() => readConfig({ ...sizes, ...own })).toThrow(message);
});
