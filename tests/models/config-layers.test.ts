import { expect, test } from 'vitest';
import { everyLayer, layersOf, mechanismNames } from '../../src/models/config-layers.js';
import { readConfig } from '../../src/models/config.js';

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
  [{ pattern: [{ heads: 2 }] }, /layer 0 of the pattern: unknown option "heads"; known are mechanism, /],
  [{ pattern: [{}, { mechanism: { name: 'linformer' } }] }, /layer 1 of the pattern: linformer/],
  [{ pattern: [{ position: 'learned' }] }, /position learned is added before the first layer/],
  [{ kind: 'transformer-xl', pattern: [{ residual: 'reversible' }] }, /takes residual "plain"/],
  [{ schedules: { radius: 3 } }, /schedules\.radius must be a pair of sizes/],
  [{ schedules: {} }, /schedules must be an object/],
  [{ schedules: { radius: [1, 2] } }, /radius/],
])('%j is refused', (own, message) => {
  expect(() => readConfig({ ...sizes, ...own })).toThrow(message);
});
