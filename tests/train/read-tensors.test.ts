// of train/checkpoint/tensors

import { expect, test } from 'vitest';
import { CapabilityError, FormatError, NumericsError, OptionError, ShapeError } from '../../src/core/errors.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { Linear } from '../../src/nn/index.js';
import { disposeAll, tensor, type Tensor } from '../../src/tensor/index.js';
import { inMemory, Safetensors, type TensorSources, writeSafetensors } from '../../src/train/checkpoint/index.js';
import { modelOf } from '../../src/train/model-of.js';
import { readTensors } from '../../src/train/read-tensors.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { byHand } from './checkpoint/by-hand.js';

/** A file of tensors by name: dtype of the format, shape, and the bytes of these numbers. */
function fileOf(
  tensors: Readonly<Record<string, readonly [dtype: string, shape: number[], data: ArrayBufferView]>>,
): Buffer {
  let end = 0;
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  for (const [name, [dtype, shape, data]] of Object.entries(tensors)) {
    const begin = end;
    end += data.byteLength;
    header[name] = { dtype, shape, data_offsets: [begin, end] };
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  return Buffer.from(byHand(JSON.stringify(header), Buffer.concat(parts)));
}

/** What `writeSafetensors` makes, in memory. */
async function writtenInMemory(tensors: TensorSources): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  // what it is given may be changed afterwards
  await writeSafetensors({ write: async (bytes) => void parts.push(bytes.slice()) }, tensors);
  return Buffer.concat(parts);
}

const every = {
  f64: ['F64', [3], Float64Array.of(0.1, -Infinity, 2 ** -160)],
  i64: ['I64', [2], BigInt64Array.of(-(2n ** 31n), 2n ** 31n - 1n)],
  u64: ['U64', [1], BigUint64Array.of(7n)],
  i8: ['I8', [2], Int8Array.of(-128, 127)],
  i16: ['I16', [1], Int16Array.of(-300)],
  u16: ['U16', [1], Uint16Array.of(65535)],
  u32: ['U32', [1], Uint32Array.of(9)],
  bool: ['BOOL', [3], Uint8Array.of(1, 0, 1)],
  f32: ['F32', [1], Float32Array.of(1.5)],
  f16: ['F16', [1], Uint16Array.of(0x3c00)],
  bf16: ['BF16', [1], Uint16Array.of(0x3f80)],
  i32: ['I32', [1], Int32Array.of(-5)],
  u8: ['U8', [1], Uint8Array.of(200)],
} as const;
const odd = {
  f8: ['F8_E4M3', [2], Uint8Array.of(1, 2)],
  c64: ['C64', [1], new Uint8Array(8)],
  later: ['NF4_BLOCKS', [3, 5], Uint8Array.of(1, 2, 3)],
  empty: ['F32', [0, 2], new Uint8Array()],
} as const;

onEveryDevice((on) => {
  const opened = (tensors: Parameters<typeof fileOf>[0]): Promise<Safetensors> => Safetensors.open(fileOf(tensors));

  test('every dtype that has a counterpart is read, and one without refuses only itself', async () => {
    const file = await opened({ ...(every as object), ...(odd as object) });
    expect([...file.entries.values()].map(({ dtype }) => dtype)).toContain('nf4_blocks');
    const tensors = await readTensors(file, {
      device: on.device,
      names: (name) => (name in odd ? undefined : `x.${name}`),
    });
    const read = async (name: string): Promise<unknown[]> => {
      const one = tensors.get(`x.${name}`)!;
      return [one.dtype, [...(await one.data())]];
    };
    expect(await read('f64')).toEqual(['f32', [Math.fround(0.1), -Infinity, 0]]);
    expect(await read('i64')).toEqual(['i32', [-(2 ** 31), 2 ** 31 - 1]]);
    expect(await read('u64')).toEqual(['i32', [7]]);
    expect(await read('i8')).toEqual(['i32', [-128, 127]]);
    expect(await read('i16')).toEqual(['i32', [-300]]);
    expect(await read('u16')).toEqual(['i32', [65535]]);
    expect(await read('u32')).toEqual(['i32', [9]]);
    expect(await read('bool')).toEqual(['u8', [1, 0, 1]]);
    expect(await read('f32')).toEqual(['f32', [1.5]]);
    expect(await read('f16')).toEqual(['f16', [1]]);
    expect(await read('bf16')).toEqual(['bf16', [1]]);
    expect(await read('i32')).toEqual(['i32', [-5]]);
    expect(await read('u8')).toEqual(['u8', [200]]);
    disposeAll(tensors);
    for (const name of Object.keys(odd)) {
      const refused = readTensors(file, { device: on.device, names: (one) => (one === name ? one : undefined) });
      await expect(refused).rejects.toThrow(CapabilityError);
      await expect(refused).rejects.toThrow(`readTensors: tensor "${name}" of "in memory": `);
      // its bytes are there all the same
      expect(await file.read(name)).toHaveLength(odd[name as keyof typeof odd][2].byteLength);
    }
  });

  test.each<[string, Parameters<typeof fileOf>[0], new (message: string) => Error, string]>([
    [
      'an f64 beyond f32',
      { w: ['F64', [2], Float64Array.of(1, -1e39)] },
      NumericsError,
      'element 1, -1e+39, is beyond',
    ],
    ['an i64 beyond i32', { w: ['I64', [1], BigInt64Array.of(2n ** 31n)] }, OptionError, 'got 2147483648 at index 0'],
    ['a u32 beyond i32', { w: ['U32', [1], Uint32Array.of(2 ** 31)] }, OptionError, 'got 2147483648 at index 0'],
  ])('refused by name: %s', async (_, tensors, error, message) => {
    const refused = readTensors(await opened(tensors), { device: on.device });
    await expect(refused).rejects.toThrow(error);
    await expect(refused).rejects.toThrow('readTensors: tensor "w" of "in memory": ');
    await expect(refused).rejects.toThrow(message);
    expect(on.device.ledger.live()).toBe(0);
  });

  test('two tensors that would have one name', async () => {
    const one = ['U8', [1], Uint8Array.of(1)] as const;
    const refused = readTensors(await opened({ a: one as never, b: one as never }), {
      device: on.device,
      names: () => 'x',
    });
    await expect(refused).rejects.toThrow('tensor "b" of "in memory": the name "x" is taken');
    expect(on.device.ledger.live()).toBe(0);
  });

  test('a model is made of bytes alone, wherever they lie', async () => {
    const config = readConfig({ vocabulary: 5, layers: 1, width: 8, heads: 2, length: 4 });
    const before = createModel(config).initialise({ device: on.device, seed: 3 });
    const numbers = new Map<string, Float32Array>();
    for (const [name, one] of before.stateDict()) numbers.set(name, (await one.data()) as Float32Array);
    const sources = [...before.stateDict()].map(([name, { shape }]) => [
      name,
      { dtype: 'f32', shape, bytes: numbers.get(name)! } as const,
    ]);
    before.dispose();
    const bytes = await writtenInMemory(Object.fromEntries(sources));
    const whole = new ArrayBuffer(bytes.length);
    new Uint8Array(whole).set(bytes);
    for (const source of [bytes, whole, inMemory(bytes)]) {
      const { model } = await modelOf({ model: config as never }, await Safetensors.open(source), {
        device: on.device,
      });
      for (const [name, one] of model.stateDict()) expectSameBits(name, await one.data(), numbers.get(name)!);
      model.dispose();
    }
    await expect(Safetensors.open(bytes.subarray(0, bytes.length - 1), 'mine')).rejects.toThrow(FormatError);
    await expect(Safetensors.open(bytes.subarray(0, bytes.length - 1), 'mine')).rejects.toThrow('safetensors "mine": ');
    // a NaN in any tensor, wherever in it
    for (const [name, values] of numbers) {
      const spoilt = values.slice();
      spoilt[values.length - 1] = NaN;
      const other = {
        ...Object.fromEntries(sources),
        [name]: { ...Object.fromEntries(sources)[name]!, bytes: spoilt },
      };
      const file = await Safetensors.open(await writtenInMemory(other), 'mine');
      const refused = modelOf({ model: config as never }, file, { device: on.device });
      await expect(refused).rejects.toThrow(NumericsError);
      await expect(refused).rejects.toThrow(`model "mine": tensor ${name} holds a NaN`);
    }
    expect(on.device.ledger.live()).toBe(0);
  });

  test('a state from elsewhere: transposed weights, a part, tensors too many', async () => {
    const config = readConfig({ vocabulary: 5, layers: 1, width: 8, heads: 2, length: 4 });
    const model = createModel(config).initialise({ device: on.device, seed: 3 });
    const other = createModel(config).initialise({ device: on.device, seed: 4 });
    const want = new Map<string, Float32Array>();
    for (const [name, one] of model.stateDict()) want.set(name, (await one.data()) as Float32Array);
    const linear = model.modules().flatMap((one) => (one instanceof Linear ? one.weight.path() : []));
    expect(linear.length).toBeGreaterThan(2);
    const transposed = (name: string): boolean => linear.includes(name);
    const state = new Map<string, Tensor>();
    for (const [name, values] of want) {
      const { shape } = model.stateDict().get(name)!;
      const [rows, columns] = [shape[0]!, shape[1]!];
      state.set(
        name,
        transposed(name)
          ? tensor(
              values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!),
              [columns, rows],
              { device: on.device },
            )
          : tensor(values, shape, { device: on.device }),
      );
    }
    const buffer = tensor([1, 2], [2], { device: on.device, dtype: 'i32' });
    state.set('position_ids', buffer);
    const numbers = (): Promise<number[][]> =>
      Promise.all([...other.stateDict().values()].map(async (one) => [...(await one.data())]));
    const before = await numbers();
    // without the options each is a refusal, and nothing changes
    expect(() => other.load(state, { transposed })).toThrow('1 tensors do not fit: unexpected position_ids [2]');
    expect(() => other.load(state, { unexpected: 'ignore' })).toThrow(ShapeError);
    expect(() => other.load(state, { transposed: () => true, unexpected: 'ignore' })).toThrow('no two axes');
    expect(() => other.load(new Map([['x', buffer]]), { missing: 'keep', unexpected: 'ignore' })).toThrow(
      'none of 1 has the name of a parameter, such as ends.embedding.weight',
    );
    expect(() => other.load(state, { unexpekted: 'ignore' } as never)).toThrow('did you mean "unexpected"?');
    expect(() => other.load(state, { missing: 'skip' } as never)).toThrow(OptionError);
    const [first] = linear;
    const part = new Map([[first!, state.get(first!)!]]);
    expect(() => createModel(config).load(part, { transposed, missing: 'keep' })).toThrow('which holds nothing yet');
    expect(await numbers()).toEqual(before);
    // a part, then all
    other.load(part, { transposed, missing: 'keep' });
    const names = [...other.stateDict().keys()];
    expect(await numbers()).toEqual(before.map((one, i) => (names[i] === first ? [...want.get(first!)!] : one)));
    other.load(state, { transposed, unexpected: 'ignore' });
    for (const [name, one] of other.stateDict()) expectSameBits(name, await one.data(), want.get(name)!);
    [model, other].forEach((one) => one.dispose());
    disposeAll(state);
    expect(on.device.ledger.live()).toBe(0);
  });
});
