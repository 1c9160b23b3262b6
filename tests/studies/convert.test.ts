import { expect, test } from 'vitest';
import { mechanism } from '../../src/attention/index.js';
import { OptionError } from '../../src/core/errors.js';
import { bytesSource } from '../../src/data/bytes.js';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../../src/models/index.js';
import { convert, type ConvertOptions } from '../../src/studies/convert.js';
import { scoreConversion, stagesOf } from '../../src/studies/convert-scores.js';
import { noGradient, scope, tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';

const LENGTH = 8;

onWebAssemblyFirst((on) => {
  const trained = (own: object = {}): { readonly model: LanguageModel; readonly config: ModelConfig } => {
    const sizes = { vocabulary: 10, length: LENGTH, layers: 2, width: 12, heads: 2 };
    const config = readConfig({ kind: 'encoder', position: 'learned', ...sizes, ...own });
    return { config, model: createModel(config).initialise({ device: on.device, seed: 4 }) };
  };
  const to = (name: string, settings: object, length = 3 * LENGTH - 1): ConvertOptions => ({
    device: on.device,
    mechanism: mechanism(name),
    settings: settings as Readonly<Record<string, unknown>>,
    length,
  });

  async function losses(model: LanguageModel, length: number): Promise<Float32Array> {
    const row = (of: (i: number) => number) =>
      tensor(
        Int32Array.from({ length }, (_, i) => of(i)),
        [1, length],
        { device: on.device },
      );
    const loss = scope(() =>
      noGradient(
        () =>
          model.loss({ tokens: row((i) => (i * 7) % 10), targets: row((i) => (i * 3) % 10) }, { reduction: 'none' })
            .loss,
      ),
    );
    const data = (await loss.data()) as Float32Array;
    loss.dispose();
    return data;
  }

  test.each([
    ['sliding-window', { radius: LENGTH }, {}],
    // a global token's own projections are copies, so it attends as before
    ['longformer', { radius: LENGTH, globals: [0, 3] }, { bias: true }],
    ['longformer', { radius: LENGTH, globals: [2] }, { kvHeads: 1, position: 'rope' }],
  ])('%s that reaches over a text of the trained length is the trained model: %j, %j', async (name, settings, own) => {
    const { model, config } = trained(own);
    const before = await losses(model, LENGTH);
    const found = convert(model, config, to(name, settings));
    expect(found).toMatchObject({ drawn: [], unused: [], config: { length: 3 * LENGTH - 1, mechanism: { name } } });
    // two layers of sums of 12 products, each rounded
    expectClose(name, await losses(found.model, LENGTH), before, { budget: 64 * 2 ** -24 * Math.max(...before) });
    found.model.dispose();
    expectSameBits('trained', await losses(model, LENGTH), before);
    model.dispose();
  });

  test('learned positions repeat, to the last row, and are named', async () => {
    const { model, config } = trained();
    const found = convert(model, config, to('sliding-window', { radius: 4 }));
    const name = 'stack.positions.table';
    expect(found.copied).toEqual([name]);
    const [before, after] = await Promise.all(
      [model, found.model].map(async (one) => (await one.stateDict().get(name)!.data()) as Float32Array),
    );
    expect(after).toHaveLength((3 * LENGTH - 1) * 12);
    expect([...after!]).toEqual(Array.from(after!, (_, i) => before![i % before!.length]));
    expect(Number.isFinite((await losses(found.model, 3 * LENGTH - 1)).at(-1))).toBe(true);
    found.model.dispose();
    model.dispose();
  });

  test('rows before the first token stay, those behind repeat without them', async () => {
    const { model, config } = trained({ position: { method: 'learned', first: 2 } });
    const found = convert(model, config, to('sliding-window', { radius: 4 }));
    const name = 'stack.positions.table';
    const [before, after] = await Promise.all(
      [model, found.model].map(async (one) => (await one.stateDict().get(name)!.data()) as Float32Array),
    );
    const rows = (table: Float32Array): number[] => Array.from({ length: table.length / 12 }, (_, i) => table[12 * i]!);
    const own = rows(before!);
    expect(own).toHaveLength(LENGTH + 2);
    const expected = [...own, ...own.slice(2), ...own.slice(2)];
    expect(rows(after!)).toEqual(expected.slice(0, 3 * LENGTH + 1));
    found.model.dispose();
    model.dispose();
  });

  test('the decoder of an encoder–decoder stays as it is', () => {
    for (const decoder of [undefined, { layers: 1 }]) {
      const { model, config } = trained({ kind: 'encoder-decoder', ...(decoder && { decoder }) });
      const found = convert(model, config, to('sliding-window', { radius: 4 }));
      expect(found.config).toMatchObject({
        mechanism: { name: 'sliding-window' },
        length: 3 * LENGTH - 1,
        decoder: { mechanism: { name: 'flash' }, length: LENGTH, layers: decoder?.layers ?? 2 },
      });
      expect(found.drawn).toEqual([]);
      found.model.dispose();
      model.dispose();
    }
  });

  test('layers that are no exact attention stay; a model without one, or a shorter length, is refused', () => {
    const { model, config } = trained({ layers: [{}, { mechanism: 'sliding-window' }, { mixer: 'fnet' }] });
    const found = convert(model, config, to('bigbird', { blockSize: 4 }));
    expect(found.config.pattern!.map(({ mixer, mechanism: own }) => mixer?.name ?? own.name)).toEqual([
      'bigbird',
      'sliding-window',
      'fnet',
    ]);
    found.model.dispose();
    expect(() => convert(model, config, to('bigbird', {}, LENGTH - 1))).toThrow(
      new OptionError('convert: length must be at least the trained 8; got 7.'),
    );
    const none = trained({ mixer: 'fnet' });
    expect(() => convert(none.model, none.config, to('bigbird', {}))).toThrow(/no layer attends to all pairs/);
    none.model.dispose();
    model.dispose();
  });

  test('scores are of the same bytes; training on goes through lengths that double', async () => {
    expect([stagesOf(8, 64), stagesOf(8, 8), stagesOf(8, 20)]).toEqual([[16, 32, 64], [8], [10, 20]]);
    const { model, config } = trained({ kind: 'decoder', vocabulary: 256, position: 'rope' });
    const found = convert(model, config, to('sliding-window', { radius: 4 }, 32));
    const text = bytesSource('text', new TextEncoder().encode('abcdefgh '.repeat(40)));
    const rows = await scoreConversion({ model, config }, found, {
      device: on.device,
      source: text,
      seed: 0,
      maxBytes: 64,
      continued: { steps: 6, stages: stagesOf(LENGTH, 32), source: text, rate: 1e-2 },
    });
    expect(rows.map(({ model: of, length, targets }) => [of, length, targets])).toEqual([
      ['trained', 8, 64],
      ['converted', 8, 64],
      ['converted', 32, 64],
      ['trained on', 8, 64],
      ['trained on', 32, 64],
    ]);
    expect(rows[4]!.bitsPerByte).toBeLessThan(rows[2]!.bitsPerByte);
    found.model.dispose();
    model.dispose();
  });
});
