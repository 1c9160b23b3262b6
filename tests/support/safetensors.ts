import { readFileSync } from 'node:fs';

const views = { F64: Float64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array } as const;

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array | Float32Array | Int32Array | Uint8Array;
}

interface Entry {
  readonly dtype: keyof typeof views;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The tensors of a safetensors file by name: 8 bytes of header length, a JSON header, raw little-endian data. */
export function readSafetensors(path: string | URL): Record<string, StoredTensor> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<string, Entry>;
  const tensors: Record<string, StoredTensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    // a copy, because a typed array must start at a multiple of its element
    const bytes = Uint8Array.from(file.subarray(start + data_offsets[0], start + data_offsets[1]));
    tensors[name] = { shape, data: new views[dtype](bytes.buffer) };
  }
  return tensors;
}
