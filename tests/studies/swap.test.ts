import { expect, test } from 'vitest';
import { mechanism } from '../../src/attention/index.js';
import { OptionError } from '../../src/core/errors.js';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../../src/models/index.js';
import { swapMechanism } from '../../src/studies/swap.js';
import { noGradient, scope, tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, type OnDevice } from '../support/devices.js';

const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
const targets = [1, 4, 1, 5, 9, 2, 6, 5];

async function losses(on: OnDevice, model: LanguageModel): Promise<Float32Array> {
  const row = (of: readonly number[]) => tensor(Int32Array.from(of), [1, of.length], { device: on.device });
  const loss = scope(() =>
    noGradient(() => model.loss({ tokens: row(tokens), targets: row(targets) }, { reduction: 'none' }).loss),
  );
  const data = (await loss.data()) as Float32Array;
  loss.dispose();
  return data;
}

onEveryDevice((on) => {
  const trained = (own: object = {}): { readonly model: LanguageModel; readonly config: ModelConfig } => {
    const config = readConfig({ vocabulary: 10, length: 8, layers: 2, width: 12, heads: 2, ...own });
    return { config, model: createModel(config).initialise({ device: on.device, seed: 4 }) };
  };

  test('an exact mechanism, or a window as wide as the text, changes nothing but rounding', async () => {
    const { model, config } = trained();
    const before = await losses(on, model);
    for (const [name, settings] of [
      ['standard', {}],
      ['sliding-window', { radius: 8 }],
    ] as const) {
      const swapped = swapMechanism(model, config, { device: on.device, mechanism: mechanism(name), settings });
      expect(swapped).toMatchObject({ drawn: [], unused: [], config: { mechanism: { name, options: settings } } });
      // two layers of sums of 12 products, each rounded
      expectClose(name, await losses(on, swapped.model), before, { budget: 64 * 2 ** -24 * Math.max(...before) });
      swapped.model.dispose();
    }
    // the trained one is as it was
    expectSameBits('trained', await losses(on, model), before);
    model.dispose();
  });

  test('a window that is too narrow changes what depends on more, and only that', async () => {
    const { model, config } = trained();
    const before = await losses(on, model);
    const narrow = swapMechanism(model, config, {
      device: on.device,
      mechanism: mechanism('sliding-window'),
      settings: { radius: 1 },
    });
    const after = await losses(on, narrow.model);
    expectClose('first two', after.subarray(0, 2), before.subarray(0, 2), { budget: 1e-5 });
    expect(Math.abs(after[5]! - before[5]!)).toBeGreaterThan(1e-4);
    narrow.model.dispose();
    model.dispose();
  });

  test('what a mechanism brings is drawn from the seed, and named', async () => {
    const { model, config } = trained();
    const swap = (seed: number) =>
      swapMechanism(model, config, { device: on.device, mechanism: mechanism('performer'), seed });
    const [one, same, other] = [swap(1), swap(1), swap(2)];
    expect(one.drawn.length).toBeGreaterThan(0);
    expect(one.unused).toEqual([]);
    for (const name of one.drawn) expect(name).toMatch(/attention/);
    const [a, b, c] = [await losses(on, one.model), await losses(on, same.model), await losses(on, other.model)];
    expectSameBits('same seed', a, b);
    expect(a).not.toEqual(c);
    // and back: what it brought is left
    const back = swapMechanism(one.model, one.config, { device: on.device, mechanism: mechanism('flash') });
    expect(back.unused).toEqual(one.drawn);
    expectSameBits('back', await losses(on, back.model), await losses(on, model));
    for (const swapped of [one, same, other, back]) swapped.model.dispose();
    model.dispose();
  });

  test.each([
    ['nystromformer', {}, {}, 'no causal form'],
    ['performer', {}, { position: 'alibi' }, 'takes no change of scores'],
    ['flash', { keyChnk: 3 }, {}, 'keyChnk'],
  ] as const)('%s with %j for %j is refused, and nothing is left', (name, settings, own, message) => {
    const { model, config } = trained(own);
    const call = (): unknown =>
      swapMechanism(model, config, { device: on.device, mechanism: mechanism(name), settings });
    expect(call).toThrow(OptionError);
    expect(call).toThrow(message);
    model.dispose();
  });
});
