import { describe, expect, test } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { CapabilityError, OptionError } from '../../src/core/errors.js';
import {
  createModel,
  openSession,
  positionNames,
  readConfig,
  TransformerXl,
  type LanguageModel,
  type SessionOptions,
  type TextSession,
  type Transformer,
} from '../../src/models/index.js';
import { noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { fill } from '../nn/check.js';
import { expectClose } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const vocabulary = 13;
const [trained, maxLength] = [8, 20];
const base = { vocabulary, length: trained, layers: 2, width: 16, heads: 2 };
const text = Int32Array.from(uniform(3, maxLength), (x) => Math.floor(6.5 * (x + 1)));

/** Options that tell positions apart within the text. */
const telling: Readonly<Record<string, object>> = {
  axial: { width: 3 },
  'dilated-window': { radius: 1, dilations: [1, 2] },
  fixed: { stride: 3, columns: 1 },
  'global-tokens': { globals: [1, 9], radius: 1 },
  'local-1d': { blockSize: 3 },
  'local-2d': { height: 7, width: 3, blockHeight: 2, blockWidth: 2, flangeHeight: 1, flangeWidth: 1 },
  'long-short-causal': { causalWindow: 3, chunkLength: 3 },
  longformer: { radius: 1, globals: [0, 1], dilations: [1, 2] },
  'sliding-window': { radius: 3 },
  'sparse-transformer': { stride: 3 },
  strided: { stride: 3 },
};

const rope = (scaling: object): object => ({ position: { method: 'rope', scaling } });
type Case = readonly [what: string, config: object, options?: Partial<SessionOptions>];
const cases: readonly Case[] = [
  ...positionNames.map((position): Case => [`position ${position}`, { position }]),
  ...mechanisms.map(({ name }): Case => [name, { mechanism: { name, options: telling[name] ?? {} } }]),
  ['an image that ends', { mechanism: { name: 'local-2d', options: { height: 4, width: 4 } } }],
  ['a ring that forgets what is seen', { mechanism: 'strided' }, { cache: 'ring', window: 3 }],
  [
    'a ring that forgets nothing that is seen',
    { mechanism: { name: 'sliding-window', options: { radius: 3 } } },
    { cache: 'ring', window: 4 },
  ],
  ['linear scaling', rope({ type: 'linear', factor: 3 })],
  ['NTK scaling', rope({ type: 'ntk', factor: 3 })],
  ['YaRN', rope({ type: 'yarn', factor: 3, originalLength: trained })],
  ['dynamic scaling', rope({ type: 'dynamic', factor: 3, originalLength: trained })],
  ['dynamic scaling within the trained length', rope({ type: 'dynamic', factor: 3, originalLength: maxLength })],
  ['dynamic scaling of a length', rope({ type: 'dynamic', factor: 3, originalLength: trained, length: maxLength })],
  [
    'a state',
    { position: 'none', mixer: { name: 'mamba2', options: { heads: 3, headSize: 4, state: 5 } }, feedForward: 'none' },
  ],
  [
    'a state whose convolution sees a row alone',
    { pattern: [{ mixer: { name: 'mamba2', options: { kernel: 1 } } }, { position: 'alibi' }] },
  ],
  ['a state beside learned positions', { position: 'learned', mixer: 'mamba2' }],
  ['layers apart', { pattern: [rope({ type: 'linear', factor: 3 }), { position: 'alibi' }] }],
  [
    'a layer with dynamic scaling',
    { pattern: [{ position: 'none' }, rope({ type: 'dynamic', factor: 3, originalLength: trained })] },
  ],
  ['a layer as Transformer-XL', { pattern: [{ position: 'none' }, { position: 'transformer-xl' }] }],
  ['a layer that does not decode', { pattern: [{ mechanism: 'flash' }, { mechanism: 'reformer' }] }],
  ['learned positions for all', { position: 'learned', length: maxLength }],
  ['transformer-xl', { kind: 'transformer-xl', memory: { length: maxLength } }],
  [
    'transformer-xl of random blocks',
    { kind: 'transformer-xl', memory: { length: maxLength }, mechanism: 'random-blocks' },
  ],
  ['transformer-xl without memory', { kind: 'transformer-xl', memory: { length: 0 } }],
  ['compressive-transformer', { kind: 'compressive-transformer', memory: { length: maxLength } }],
];

/** What no session is opened for. */
const refused: ReadonlySet<string> = new Set([
  'position transformer-xl',
  'position learned',
  'a state beside learned positions',
  'an image that ends',
  'a ring that forgets what is seen',
  'dynamic scaling',
  'a layer with dynamic scaling',
  'a layer as Transformer-XL',
  'a layer that does not decode',
  'transformer-xl of random blocks',
  'transformer-xl without memory',
  ...mechanisms.filter(({ definition }) => definition.supports.decode === false).map(({ name }) => name),
]);

/** Those whose model exists: some mechanisms have no causal form. */
function modelOf(config: object): LanguageModel | undefined {
  try {
    return createModel(readConfig({ ...base, ...config }));
  } catch (error) {
    if (error instanceof OptionError || error instanceof CapabilityError) return undefined;
    throw error;
  }
}
const all = cases
  .filter(([, config]) => modelOf(config))
  .map(([what, config, options = {}]) => [what, config, options] as const);
const opened = all.filter(([what]) => !refused.has(what));

/** Of the last of the first n tokens. */
function logitsOf(model: LanguageModel, device: Device, n: number): Tensor {
  const tokens = tensor(text.subarray(0, n), [1, n], { device });
  return model instanceof TransformerXl ? model.logits(tokens).logits : (model as Transformer).logits(tokens);
}

async function expectWhole(model: LanguageModel, session: TextSession, device: Device): Promise<void> {
  for (let at = 0; at < maxLength;) {
    const end = Math.min(maxLength, at + [1, 1, 4, 1][at % 4]!);
    const got = session.step(text.subarray(at, end));
    at = end;
    // the text so far, as if it were all
    const whole = scope(() => noGradient(() => logitsOf(model, device, end)));
    const want = ((await whole.data()) as Float32Array).slice(-vocabulary);
    expectClose(`after ${end} tokens`, await got.data(), want, { budget: 2e-5 * Math.max(...want.map(Math.abs)) });
    got.dispose();
    whole.dispose();
  }
}

describe('a session equals the whole text at every length, or is not opened', () => {
  test('every mechanism that decodes is among those that are', () => {
    const decoding = mechanisms.filter(({ definition }) => definition.supports.decode !== false);
    expect(opened.map(([what]) => what)).toEqual(expect.arrayContaining(decoding.map(({ name }) => name)));
  });

  test.each(all.filter(([what]) => refused.has(what)))('%s is refused at the start', (_, config, options) => {
    const open = (): unknown => openSession(modelOf(config)!, { maxLength, ...options });
    let why: unknown;
    try {
      open();
    } catch (error) {
      why = error;
    }
    expect(why instanceof OptionError || why instanceof CapabilityError, String(why)).toBe(true);
  });

  test('and says what would do', () => {
    const open =
      (config: object, most = maxLength) =>
      (): unknown =>
        openSession(modelOf(config)!, { maxLength: most });
    const dynamic = rope({ type: 'dynamic', factor: 3, originalLength: trained });
    expect(open(dynamic)).toThrow('set position.scaling.length, take another scaling, or a maxLength of at most 8');
    expect(open(dynamic, trained)).not.toThrow();
    expect(open({ kind: 'transformer-xl', memory: { length: 0 } })).toThrow('each step forgets those before');
    expect(() => openSession(modelOf({})!, { maxLength, cash: 'ring' } as never)).toThrow('did you mean "cache"');
    const memory = modelOf({ kind: 'transformer-xl' })!;
    expect(() => openSession(memory, { maxLength, window: 3 })).toThrow('leave window out');
    expect(() => openSession(memory, { maxLength: 1.5 })).toThrow('maxLength must be a whole number');
    expect(modelOf(rope({ type: 'linear', factor: 0 }))).toBeUndefined();
  });

  onEveryDevice((on) => {
    test.each(fewNatively(on.kind, opened, 1))('%s', async (_, config, options) => {
      const model = modelOf(config)!;
      fill(model, on.device, 5);
      const session = openSession(model, { maxLength, ...options });
      await expectWhole(model, session, on.device);
      session.reset();
      await expectWhole(model, session, on.device);
      session.dispose();
      model.dispose();
    });
  });
});
