import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sizeOf } from '../../src/core/shape.js';

/** A GPT-2 of one layer that is 4 wide, as its `config.json` says. */
export const tinyConfig: Readonly<Record<string, unknown>> = {
  model_type: 'gpt2',
  architectures: ['GPT2LMHeadModel'],
  n_embd: 4,
  n_head: 2,
  n_layer: 1,
  n_positions: 8,
  vocab_size: 6,
};

export interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Small numbers, each different. */
export function floats(shape: readonly number[], first = 0): Stored {
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.fround(Math.sin(first + i) / 4));
  return { dtype: 'F32', shape, bytes: new Uint8Array(data.buffer) };
}

/** The tensors of the tiny model, by their published names. */
export function tinyWeights(prefix = 'transformer.'): Record<string, Stored> {
  const shapes = {
    'wte.weight': [6, 4],
    'wpe.weight': [8, 4],
    'h.0.ln_1.weight': [4],
    'h.0.ln_1.bias': [4],
    'h.0.attn.c_attn.weight': [4, 12],
    'h.0.attn.c_attn.bias': [12],
    'h.0.attn.c_proj.weight': [4, 4],
    'h.0.attn.c_proj.bias': [4],
    'h.0.ln_2.weight': [4],
    'h.0.ln_2.bias': [4],
    'h.0.mlp.c_fc.weight': [4, 16],
    'h.0.mlp.c_fc.bias': [16],
    'h.0.mlp.c_proj.weight': [16, 4],
    'h.0.mlp.c_proj.bias': [4],
    'ln_f.weight': [4],
    'ln_f.bias': [4],
  };
  return Object.fromEntries(Object.entries(shapes).map(([name, shape], i) => [prefix + name, floats(shape, 10 * i)]));
}

/** The bytes of a safetensors file, of any dtypes. */
export function fileOf(tensors: Readonly<Record<string, Stored>>): Uint8Array {
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
      const begin = end;
      end += bytes.length;
      return [name, { dtype, shape, data_offsets: [begin, end] }];
    }),
  );
  const text = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + end);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  let at = 8 + text.length;
  for (const { bytes } of Object.values(tensors)) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** Writes a published folder; a text stands for a file of that text. */
export function writeFolder(folder: string, files: Readonly<Record<string, string | object | Uint8Array>>): string {
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
  }
  return folder;
}
