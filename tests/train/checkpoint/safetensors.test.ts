import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Dtype, bytesPerElement } from '../../../src/core/dtype.js';
import { OptionError } from '../../../src/core/errors.js';
import { scope, tensor } from '../../../src/index.js';
import {
  hostTensor,
  nodeFiles,
  openSafetensors,
  sourceOf,
  type TensorSources,
  writeSafetensors,
} from '../../../src/train/checkpoint/index.js';
import { fileOf, temporaryFolder } from '../../data/folder.js';
import { onEveryDevice } from '../../support/devices.js';
import { byHand } from './by-hand.js';

async function written(tensors: TensorSources, metadata?: Record<string, string>): Promise<string> {
  const path = join(temporaryFolder(), 'w.safetensors');
  const file = await nodeFiles.open(path, 'write');
  const { bytes } = await writeSafetensors(file, tensors, metadata);
  await file.close();
  expect(readFileSync(path)).toHaveLength(bytes);
  return path;
}

const f32 = (...bits: number[]): Float32Array => new Float32Array(Uint32Array.from(bits).buffer);

describe('writing', () => {
  // worked out by hand: the header takes 226 bytes and 6 spaces, tensors lie widest first, then by name
  const header =
    '{"__metadata__":{"by":"hand"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
    '"a":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},"h":{"dtype":"F16","shape":[1],"data_offsets":[10,12]},' +
    '"u":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}}';
  const data = [0, 0, 128, 63, 0, 0, 0, 192, 0x80, 0x3f, 0x01, 0x7c, 1, 2, 3];

  test('a file is byte for byte what was worked out by hand', async () => {
    const path = await written(
      {
        u: { dtype: 'u8', shape: [3], bytes: Uint8Array.of(9, 1, 2, 3, 9).subarray(1, 4) },
        h: { dtype: 'f16', shape: [1], bytes: () => Uint16Array.of(0x7c01) },
        b: { dtype: 'f32', shape: [1, 2], bytes: async () => Float32Array.of(1, -2) },
        a: { dtype: 'bf16', shape: [], bytes: Uint16Array.of(0x3f80) },
      },
      { by: 'hand' },
    );
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect(readFileSync(path).equals(byHand(padded, data))).toBe(true);
  });

  test('a file made by hand, without padding and with the header in another order, is read', async () => {
    const file = await openSafetensors(
      fileOf(
        byHand(
          '{"y":{"shape":[2],"data_offsets":[3,7],"dtype":"F16"},"x":{"dtype":"U8","shape":[3,1],"data_offsets":[0,3]}}',
          [1, 2, 3, 0, 60, 1, 252],
        ),
      ),
    );
    expect([...file.entries.keys()]).toEqual(['x', 'y']);
    expect([...(await file.read('y'))]).toEqual([0, 60, 1, 252]);
    expect([...(await file.read('x'))]).toEqual([1, 2, 3]);
    expect(file.entries.get('x')).toEqual({ name: 'x', dtype: 'u8', shape: [3, 1], begin: 0, end: 3 });
    await file.close();
  });

  test('files of the reference implementation are written again bit by bit', async () => {
    // made once by the safetensors package of Python, version 0.8.0, from the same tensors
    const path = await written({
      é: { dtype: 'f32', shape: [1], bytes: Float32Array.of(1) },
      '10': { dtype: 'f32', shape: [1], bytes: Float32Array.of(2) },
      '2': { dtype: 'f32', shape: [1], bytes: Float32Array.of(3) },
      z: { dtype: 'i32', shape: [1], bytes: Int32Array.of(-1) },
      A: { dtype: 'f16', shape: [2], bytes: Uint16Array.of(1, 2) },
      '"': { dtype: 'bf16', shape: [0, 2], bytes: new Uint16Array() },
      s: { dtype: 'u8', shape: [], bytes: Uint8Array.of(7) },
    });
    expect(readFileSync(path).toString('base64')).toBe(REFERENCE);
  });

  test('one tensor is held at a time', async () => {
    const events: string[] = [];
    const source = (name: string) => ({
      dtype: 'u8' as const,
      shape: [1],
      bytes: async () => {
        events.push(`read ${name}`);
        return new Uint8Array(1);
      },
    });
    const write = async (bytes: Uint8Array): Promise<void> => void events.push(`write ${bytes.length}`);
    await writeSafetensors({ write }, { a: source('a'), b: source('b') });
    expect(events.slice(1)).toEqual(['read a', 'write 1', 'read b', 'write 1']);
  });

  test.each<[string, TensorSources, Record<string, string>, string]>([
    [
      'reserved name',
      { __metadata__: { dtype: 'u8', shape: [], bytes: new Uint8Array(1) } },
      {},
      'the name "__metadata__" is taken',
    ],
    [
      'dtype',
      { w: { dtype: 'f64' as Dtype, shape: [], bytes: new Uint8Array(8) } },
      {},
      'tensor "w": dtype must be one of',
    ],
    [
      'extent',
      { w: { dtype: 'u8', shape: [-1], bytes: new Uint8Array() } },
      {},
      'must be whole numbers of at least 0; got [-1]',
    ],
    [
      'bytes',
      { w: { dtype: 'f32', shape: [2, 3], bytes: new Float32Array(5) } },
      {},
      '"w", f32 of shape [2,3], takes 24 bytes; got 20.',
    ],
    ['metadata', {}, { n: 1 as unknown as string }, 'metadata "n" must be text; got number'],
  ])('refused: %s', async (_, tensors, metadata, message) => {
    const refused = writeSafetensors({ write: async () => undefined }, tensors, metadata);
    await expect(refused).rejects.toThrow(OptionError);
    await expect(refused).rejects.toThrow(message);
  });
});

describe('bits', () => {
  const patterns = fc.dictionary(
    fc
      .oneof(fc.string(), fc.constant('__proto__'), fc.string({ unit: 'grapheme' }))
      .filter((name) => name !== '__metadata__'),
    fc.record({
      dtype: fc.constantFrom(...(Object.keys(bytesPerElement) as Dtype[])),
      shape: fc.array(fc.nat(3), { maxLength: 3 }),
      seed: fc.nat(255),
    }),
    { maxKeys: 6 },
  );

  test('whatever the bits, they come back, and lie at multiples of their element', async () => {
    await fc.assert(
      fc.asyncProperty(patterns, async (described) => {
        const sources = Object.entries(described).map(([name, { dtype, shape, seed }]) => {
          const size = shape.reduce((a, b) => a * b, bytesPerElement[dtype]);
          return [name, { dtype, shape, bytes: Uint8Array.from({ length: size }, (_, i) => seed + 37 * i) }] as const;
        });
        const path = await written(Object.fromEntries(sources));
        const file = await openSafetensors(path);
        const start = 8 + Number(readFileSync(path).readBigUInt64LE());
        expect(file.entries.size).toBe(sources.length);
        for (const [name, { dtype, shape, bytes }] of sources) {
          const entry = file.entries.get(name)!;
          expect([entry.dtype, entry.shape, await file.read(name)]).toEqual([dtype, shape, bytes]);
          expect((start + entry.begin) % bytesPerElement[dtype]).toBe(0);
        }
        await file.close();
      }),
      { numRuns: 50 },
    );
  });

  onEveryDevice((on) => {
    test('tensors: signalling NaNs with payloads, −0, infinities, subnormals', async () => {
      const words = {
        f32: f32(0x7f800001, 0xffc12345, 0x80000000, 0xff800000, 1),
        f16: Uint16Array.of(0x7c01, 0xfe12, 0x8000, 0xfc00, 1),
        bf16: Uint16Array.of(0x7f81, 0xffc3, 0x8000, 0xff80, 1),
        i32: Int32Array.of(-(2 ** 31), -1, 0, 1, 2 ** 31 - 1),
        u8: Uint8Array.of(0, 1, 128, 254, 255),
      };
      const of = (dtype: Dtype, data = words[dtype]) => tensor(data, [5, 1], { dtype, device: on.device });
      await scope(async () => {
        const path = await written(
          Object.fromEntries((Object.keys(words) as Dtype[]).map((dtype) => [dtype, sourceOf(of(dtype))])),
        );
        const file = await openSafetensors(path);
        for (const { name, dtype } of file.entries.values()) {
          const { data } = hostTensor('x', await file.read(name), dtype);
          const back = sourceOf(of(dtype as Dtype, data as (typeof words)[Dtype])).bytes;
          const bits = typeof back === 'function' ? await back() : back;
          expect(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength)).toEqual(
            new Uint8Array(words[dtype as Dtype].buffer),
          );
        }
        await file.close();
      });
    });
  });
});

const REFERENCE =
  'iAEAAAAAAAB7IjEwIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbMCw0XX0sIjIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOls0LDhdfSwiw6kiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOls4LDEyXX0sInoiOnsiZHR5cGUiOiJJMzIiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlsxMiwxNl19LCJcIiI6eyJkdHlwZSI6IkJGMTYiLCJzaGFwZSI6WzAsMl0sImRhdGFfb2Zmc2V0cyI6WzE2LDE2XX0sIkEiOnsiZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlsxNiwyMF19LCJzIjp7ImR0eXBlIjoiVTgiLCJzaGFwZSI6W10sImRhdGFfb2Zmc2V0cyI6WzIwLDIxXX19ICAgICAgIAAAAEAAAEBAAACAP/////8BAAIABw==';
