import { expect, test } from 'vitest';
import { createModel, generate, readConfig, Session, type Transformer } from '../../src/models/index.js';
import { scope, tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { fill } from '../nn/check.js';

const length = 24;
const base = { vocabulary: 11, length, layers: 2, width: 16, heads: 2 };
const tokens = Array.from(uniform(3, length), (x) => Math.floor(5.5 * (x + 1)) % 11);

/** Largest difference of the logits of every prefix, `cuts` being the steps that the text is fed in. */
async function differences(device: Device, config: object, cuts: readonly number[], options: object): Promise<number> {
  const model = createModel(readConfig({ ...base, ...config })) as Transformer;
  fill(model, device, 5);
  const session = new Session(model, { maxLength: length, ...options });
  const whole = scope(() => model.logits(tensor(Int32Array.from(tokens), [1, length], { device })));
  const want = await whole.data();
  let worst = 0;
  let at = 0;
  for (const cut of cuts) {
    const logits = session.step(tokens.slice(at, at + cut));
    at += cut;
    const got = await logits.data();
    logits.dispose();
    got.forEach((x, c) => (worst = Math.max(worst, Math.abs(x - want[(at - 1) * 11 + c]!))));
  }
  expect(at).toBe(length);
  whole.dispose();
  session.dispose();
  model.dispose();
  return worst;
}

const models: readonly (readonly [name: string, config: object, options: object])[] = [
  ['flash, rope', {}, {}],
  ['flash, alibi, grouped heads', { position: 'alibi', kvHeads: 1 }, {}],
  ['t5', { position: 't5' }, {}],
  ['learned', { position: 'learned' }, {}],
  ['sinusoidal, post-norm', { position: 'sinusoidal', norm: { place: 'post' } }, {}],
  ['reversible layers', { residual: 'reversible' }, {}],
  ['one unit of a block', { feedForward: { name: 'scaling', options: { block: 8, rank: 5 } } }, {}],
  ['product keys', { feedForward: { name: 'product-key', options: { keys: 8, knn: 3, keyDim: 8 } } }, {}],
  ['linear-transformer', { mechanism: 'linear-transformer', position: 'sinusoidal' }, {}],
  ['performer', { mechanism: 'performer' }, {}],
  ['strided', { mechanism: 'strided' }, {}],
  [
    'sliding window in a ring',
    { mechanism: { name: 'sliding-window', options: { radius: 5 } }, position: 'alibi' },
    { cache: 'ring', window: 6 },
  ],
];

onEveryDevice((on) => {
  test.each(fewNatively(on.kind, models))('%s: step by step as all at once', async (_, config, options) => {
    // uniform weights of up to 1 make logits of about 10
    expect(await differences(on.device, config, new Array<number>(length).fill(1), options)).toBeLessThan(2e-4);
    expect(await differences(on.device, config, [7, 1, 11, 5], options)).toBeLessThan(2e-4);
  });

  test('the same seed gives the same text, another one another; temperature 0 takes the likeliest', async () => {
    const model = createModel(readConfig(base)) as Transformer;
    fill(model, on.device, 5);
    const text = async (options: object): Promise<number[]> => {
      const session = new Session(model, { maxLength: length });
      const out: number[] = [];
      for await (const token of generate(session, { prompt: [1, 2, 3], tokens: 12, ...options })) out.push(token);
      session.dispose();
      return out;
    };
    const first = await text({ seed: 4, temperature: 20 });
    expect(first).toHaveLength(12);
    expect(await text({ seed: 4, temperature: 20 })).toEqual(first);
    expect(await text({ seed: 5, temperature: 20 })).not.toEqual(first);
    expect(await text({ seed: 5, topK: 1 })).toEqual(await text({ temperature: 0 }));
    model.dispose();
  });

  test('a longer prompt than is taken at a time, and one that leaves no room', async () => {
    const model = createModel(readConfig({ ...base, length: 1200 })) as Transformer;
    fill(model, on.device, 5);
    const prompt = Array.from({ length: 1100 }, (_, i) => (i * i) % 11);
    const logits = async (cuts: readonly number[]): Promise<number[]> => {
      const session = new Session(model, { maxLength: 1100 });
      let at = 0;
      let out: number[] = [];
      for (const cut of cuts) {
        const tensor = session.step(prompt.slice(at, (at += cut)));
        out = [...(await tensor.data())];
        tensor.dispose();
      }
      expect(() => session.step([1])).toThrow('1100 tokens and 1 more exceed its maxLength of 1100');
      session.dispose();
      return out;
    };
    const [whole, parts] = [await logits([1100]), await logits([512, 1, 587])];
    whole.forEach((x, c) => expect(parts[c]).toBeCloseTo(x, 3));
    model.dispose();
  });
});
