// of data/tokenise/load

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromBf16, fromF16, toBf16, toF16 } from '../../src/core/dtype.js';
import { CapabilityError, FormatError, NumericsError, OptionError, ShapeError } from '../../src/core/errors.js';
import { loadPretrained, runPretrained, type Pretrained } from '../../src/pretrained/index.js';
import { loadWeights } from '../../src/pretrained/load-weights.js';
import { folderSource } from '../../src/pretrained/source.js';
import { openWeights } from '../../src/pretrained/weight-files.js';
import { disposeAll } from '../../src/tensor/index.js';
import { temporaryFolder } from '../data/folder.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { fileOf, floats, tinyConfig, tinyWeights, writeFolder, type Stored } from './folder.js';

type Content = string | object | Uint8Array;
const tiny = (
  files: Readonly<Record<string, Content>> = { 'model.safetensors': fileOf(tinyWeights()) },
  config: object = tinyConfig,
): string => writeFolder(temporaryFolder(), { 'config.json': config, ...files });

const f32Of = ({ bytes }: Stored): Float32Array => new Float32Array(bytes.buffer);

/** The weights of a folder, by our names. */
async function weightsOf({ model }: Pretrained): Promise<Record<string, readonly number[]>> {
  const all = await Promise.all(
    [...model.stateDict()].map(async ([name, x]) => [name, [...(await x.data())]] as const),
  );
  return Object.fromEntries(all);
}

onWebAssemblyFirst((on) => {
  const loading = async (folder: string, options = {}): Promise<Record<string, readonly number[]>> => {
    const loaded = await loadPretrained(folder, { device: on.device, ...options });
    const weights = await weightsOf(loaded);
    loaded.model.dispose();
    return weights;
  };
  const refusal = async (folder: string, options = {}): Promise<Error> => {
    try {
      const { model } = await loadPretrained(folder, { device: on.device, ...options });
      model.dispose();
    } catch (error) {
      return error as Error;
    }
    throw new Error('it was loaded');
  };

  test('shards hold what one file holds, and names are with or without the prefix', async () => {
    const whole = await loading(tiny());
    const weights = Object.entries(tinyWeights());
    const shards = { 'model-00001-of-00002.safetensors': weights.slice(0, 5), 'b.safetensors': weights.slice(5) };
    const map = Object.fromEntries(Object.entries(shards).flatMap(([file, own]) => own.map(([name]) => [name, file])));
    const files = Object.entries(shards).map(([file, own]) => [file, fileOf(Object.fromEntries(own))] as const);
    const folder = tiny({ ...Object.fromEntries(files), 'model.safetensors.index.json': { weight_map: map } });
    expect(await loading(folder)).toEqual(whole);
    expect(await loading(tiny({ 'model.safetensors': fileOf(tinyWeights('')) }))).toEqual(whole);
  });

  test('floats of any size become f32, and what is no weight is not read', async () => {
    const weights = tinyWeights();
    const stored = (name: string, dtype: string, make: (numbers: number[]) => Uint16Array | Float64Array): void => {
      const own = weights[`transformer.${name}`]!;
      weights[`transformer.${name}`] = { ...own, dtype, bytes: new Uint8Array(make([...f32Of(own)]).buffer) };
    };
    stored('wte.weight', 'F16', (numbers) => Uint16Array.from(numbers, toF16));
    stored('h.0.attn.c_attn.weight', 'BF16', (numbers) => Uint16Array.from(numbers, toBf16));
    stored('h.0.mlp.c_fc.weight', 'F64', (numbers) => Float64Array.from(numbers));
    // masks of older files, and dtypes that nobody reads here
    weights['transformer.h.0.attn.bias'] = { dtype: 'BOOL', shape: [1, 2], bytes: new Uint8Array(2) };
    weights['transformer.h.0.attn.masked_bias'] = { dtype: 'F8_E4M3', shape: [2], bytes: new Uint8Array(2) };
    const got = await loading(tiny({ 'model.safetensors': fileOf(weights) }));
    const plain = await loading(tiny());
    expect(got['stack.layers.0.feedForward.up.weight']).toEqual(plain['stack.layers.0.feedForward.up.weight']);
    for (const [name, error] of [
      ['ends.embedding.weight', 2 ** -13],
      ['stack.layers.0.attention.qkv.weight', 2 ** -10],
    ] as const) {
      got[name]!.forEach((x, i) => expect(Math.abs(x - plain[name]![i]!)).toBeLessThanOrEqual(error));
      expect(got[name]).not.toEqual(plain[name]);
    }
  });

  test('tensors come in chunks, whatever their dtype', async () => {
    const plain = await loadPretrained(tiny(), { device: on.device, tokenizer: false });
    const want = await weightsOf(plain);
    const halves = Object.entries(tinyWeights()).map(([name, own]) => {
      const bytes = new Uint8Array(Uint16Array.from([...f32Of(own)], toBf16).buffer);
      return [name, { ...own, dtype: 'BF16', bytes }] as const;
    });
    for (const [files, error] of [
      [tinyWeights(), 0],
      [Object.fromEntries(halves), 2 ** -10],
    ] as const) {
      const opened = await openWeights('test', folderSource(tiny({ 'model.safetensors': fileOf(files) })));
      await loadWeights('test', plain.model, opened, { device: on.device, map: plain.map, chunk: 16 });
      await opened.close();
      const got = await weightsOf(plain);
      for (const [name, numbers] of Object.entries(want))
        numbers.forEach((x, i) => expect(Math.abs(got[name]![i]! - x)).toBeLessThanOrEqual(error));
    }
    plain.model.dispose();
  });

  test.each(['f16', 'bf16'] as const)(
    '%s: matrices in 16 bits are those of the file, rounded, and logits those of what was rounded',
    async (dtype) => {
      const [stored, number] = dtype === 'f16' ? [toF16, fromF16] : [toBf16, fromBf16];
      const rounded = (one: Stored): Float32Array => f32Of(one).map((x) => number(stored(x)));
      const halved = (one: Stored): Stored => {
        const bytes = new Uint8Array(Uint16Array.from([...f32Of(one)], stored).buffer);
        return { ...one, dtype: dtype.toUpperCase(), bytes };
      };
      const weights = tinyWeights();
      const isMatrix = (name: string): boolean => weights[name]!.shape.length === 2 && !name.includes('wpe');
      const fileWith = (change: (one: Stored) => Stored): string =>
        tiny({
          'model.safetensors': fileOf(
            Object.fromEntries(
              Object.entries(weights).map(([name, one]) => [name, isMatrix(name) ? change(one) : one]),
            ),
          ),
        });
      const input_ids = { data: [1, 2, 3, 4], shape: [1, 4] };
      const whole = fileWith((one) => ({ ...one, bytes: new Uint8Array(rounded(one).buffer) }));
      const before = on.device.ledger.live('parameter');
      const plain = await loadPretrained(whole, { device: on.device });
      const bytes = on.device.ledger.live('parameter') - before;
      const want = await weightsOf(plain);
      const wanted = runPretrained(plain, { input_ids });
      const logits = [...(await wanted['logits']!.data())];
      disposeAll(wanted);
      plain.model.dispose();
      const matrices = Object.keys(weights).filter(isMatrix);
      const numbers = matrices.reduce((sum, name) => sum + weights[name]!.bytes.length / 4, 0);
      // as they were stored, and rounded on the way
      for (const folder of [fileWith(halved), fileWith((one) => one)]) {
        const loaded = await loadPretrained(folder, { device: on.device, dtype });
        expect(on.device.ledger.live('parameter') - before).toBe(bytes - 2 * numbers);
        expect(await weightsOf(loaded)).toEqual(want);
        const outputs = runPretrained(loaded, { input_ids });
        expect([...(await outputs['logits']!.data())]).toEqual(logits);
        disposeAll(outputs);
        loaded.model.dispose();
      }
      const bad = fileWith((one) => {
        const { bytes: held, ...rest } = halved(one);
        new Uint16Array(held.buffer)[1] = stored(NaN);
        return { ...rest, bytes: held };
      });
      expect(await refusal(bad, { dtype })).toBeInstanceOf(NumericsError);
      expect(on.device.ledger.live('parameter')).toBe(before);
    },
  );

  test('config.json decides the class, and as another', async () => {
    const base = await loadPretrained(tiny(), { device: on.device, as: 'GPT2Model' });
    const input_ids = { data: [1, 2, 3], shape: [1, 3] };
    const outputs = runPretrained(base, { input_ids });
    expect(Object.keys(outputs)).toEqual(['last_hidden_state', 'hidden_states.0', 'hidden_states.1']);
    disposeAll(outputs);
    base.model.dispose();
    const unnamed = tiny(
      { 'model.safetensors': fileOf({ ...tinyWeights(), 'lm_head.weight': floats([6, 4]) }) },
      { ...tinyConfig, architectures: null },
    );
    const { cls, model } = await loadPretrained(unnamed, { device: on.device });
    expect(cls).toMatchObject({ name: 'GPT2LMHeadModel', task: 'generate', prefix: 'transformer.' });
    model.dispose();
  });

  test('what was not read is noted', async () => {
    const config = { ...tinyConfig, resid_pdrop: 0.1, temperature: 2, mystery: 1 };
    const { notes, model } = await loadPretrained(tiny(undefined, config), {
      device: on.device,
      ignoreFields: ['mystery'],
      tokenizer: false,
    });
    model.dispose();
    expect(notes).toEqual([
      'Fields that change no result were not read: resid_pdrop, temperature, mystery.',
      'Fields that were ignored as asked: mystery.',
    ]);
  });

  test('every field that is not understood is named, together', async () => {
    const config = { ...tinyConfig, n_head: 0, is_decoder: true, n_heads: 3, quantization_config: {} };
    const error = await refusal(tiny(undefined, config));
    expect(error).toBeInstanceOf(OptionError);
    for (const part of [
      'n_head must be',
      'is_decoder must be false',
      'quantization_config',
      'dequantised',
      '"n_heads" (did you mean "n_head"?)',
    ])
      expect(error.message).toContain(part);
  });

  test('every tensor that does not fit is named, together, and none is left', async () => {
    const { 'transformer.ln_f.bias': _, ...weights } = tinyWeights();
    Object.assign(weights, {
      'transformer.h.0.mlp.c_fc.bias': floats([15]),
      'transformer.wpe.weight': { dtype: 'F8_E4M3', shape: [8, 4], bytes: new Uint8Array(32) },
      'transformer.h.0.extra': floats([2]),
    });
    const error = await refusal(tiny({ 'model.safetensors': fileOf(weights) }));
    expect(error).toBeInstanceOf(ShapeError);
    for (const part of [
      'missing stack.norm.bias [4]',
      'stack.layers.0.feedForward.up.bias (from transformer.h.0.mlp.c_fc.bias) must be [16], not [15]',
      'transformer.wpe.weight [8,4] is of dtype f8_e4m3',
      'unexpected transformer.h.0.extra [2]',
    ])
      expect(error.message).toContain(part);
  });

  test.each<[string, () => string, new (...of: never[]) => Error, RegExp]>([
    ['no folder', () => join(temporaryFolder(), 'gone'), FormatError, /is no folder/],
    ['no config', () => writeFolder(temporaryFolder(), {}), FormatError, /no config\.json/],
    ['a config that is no JSON', () => tiny(undefined, 'nothing' as unknown as object), FormatError, /not JSON/],
    ['a config that is a list', () => tiny(undefined, []), FormatError, /must hold an object/],
    [
      'an architecture that is not here',
      () => tiny(undefined, { model_type: 'gpt3' }),
      CapabilityError,
      /"gpt3" \(did you mean "gpt2"\?\)/,
    ],
    [
      'a class that is not here',
      () => tiny(undefined, { ...tinyConfig, architectures: ['GPT2LMHead'] }),
      CapabilityError,
      /unknown class "GPT2LMHead"; known are GPT2LMHeadModel/,
    ],
    ['no weights', () => tiny({}), FormatError, /neither model\.safetensors nor/],
    [
      'weights of Python alone',
      () => tiny({ 'pytorch_model.bin': 'x' }),
      FormatError,
      /convert it once in Python: .*save_pretrained/,
    ],
    [
      'a file that was cut',
      () => tiny({ 'model.safetensors': fileOf(tinyWeights()).slice(0, -3) }),
      FormatError,
      /it was cut/,
    ],
    [
      'a NaN',
      () =>
        tiny({
          'model.safetensors': fileOf({
            ...tinyWeights(),
            'transformer.ln_f.bias': {
              dtype: 'F32',
              shape: [4],
              bytes: new Uint8Array(Float32Array.of(1, NaN, 1, 1).buffer),
            },
          }),
        }),
      NumericsError,
      /stack\.norm\.bias/,
    ],
    [
      'an index that points outside',
      () => tiny({ 'model.safetensors.index.json': { weight_map: { a: '../other/model.safetensors' } } }),
      FormatError,
      /no \.safetensors file of this folder; nothing outside is read/,
    ],
    [
      'an index without a map',
      () => tiny({ 'model.safetensors.index.json': {} }),
      FormatError,
      /must have a weight_map/,
    ],
    [
      'a shard that is missing',
      () =>
        tiny({
          'model.safetensors.index.json': { weight_map: { a: 'a.safetensors', b: 'b.safetensors' } },
          'b.safetensors': fileOf({}),
        }),
      FormatError,
      /1 of 2 files are missing: a\.safetensors/,
    ],
    [
      'a shard without its tensor',
      () =>
        tiny({ 'model.safetensors.index.json': { weight_map: { a: 'a.safetensors' } }, 'a.safetensors': fileOf({}) }),
      FormatError,
      /a\.safetensors lacks a/,
    ],
    [
      'a shard that was cut',
      () =>
        tiny({
          'model.safetensors.index.json': { weight_map: { a: 'a.safetensors' } },
          'a.safetensors': fileOf({ a: floats([4]) }).slice(0, -1),
        }),
      FormatError,
      /it was cut/,
    ],
  ])('%s is one clear error', async (_, folder, kind, message) => {
    const error = await refusal(folder());
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(message);
  });

  test('a folder in place of a file is named', async () => {
    const folder = tiny({});
    mkdirSync(join(folder, 'model.safetensors'));
    expect(await refusal(folder)).toMatchObject({ message: expect.stringContaining('it is a folder') as string });
  });
});
