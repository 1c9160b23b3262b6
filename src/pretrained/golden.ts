import { FormatError } from '../core/errors.js';
import { sizeOf } from '../core/shape.js';
import { checkValue, having } from '../core/requirements.js';
import { hostTensor, type Safetensors } from '../train/checkpoint/index.js';
import type { HostArray, Inputs } from './inputs.js';

/** Inputs of a model and what it must give for them, by their published names. */
export interface Golden {
  readonly inputs: Inputs;
  readonly outputs: ReadonlyMap<string, HostArray>;
  /** Random choices that were made. */
  readonly draws: ReadonlyMap<string, HostArray>;
}

/**
 * Of a file with tensors `in.NAME`, `out.NAME` and perhaps `rand.NAME`.
 *
 * @throws FormatError for one without inputs or outputs, or with tensors of other names.
 */
export async function readGolden(file: Safetensors): Promise<Golden> {
  checkValue('readGolden', 'file', file, having('a file, as Safetensors.open opens', 'read', 'readInto'));
  const parts = {
    in: new Map<string, HostArray>(),
    out: new Map<string, HostArray>(),
    rand: new Map<string, HostArray>(),
  };
  const strange: string[] = [];
  for (const [name, { dtype, shape }] of file.entries) {
    const [, part, rest] = /^(in|out|rand)\.(.+)$/.exec(name) ?? [];
    if (part === undefined) strange.push(name);
    else {
      const { data } = hostTensor(`golden: tensor ${name} of "${file.name}"`, await file.read(name), dtype);
      parts[part as keyof typeof parts].set(rest!, { data, shape });
    }
  }
  const reasons = [
    ...(strange.length > 0 ? [`names begin with in., out. or rand., not as ${strange.join(', ')}`] : []),
    ...(parts.in.size === 0 ? ['there is no in.NAME, such as in.input_ids'] : []),
    ...(parts.out.size === 0 ? ['there is no out.NAME, such as out.logits'] : []),
  ];
  if (reasons.length > 0) throw new FormatError(`golden: "${file.name}": ${reasons.join('; ')}.`);
  return { inputs: Object.fromEntries(parts.in), outputs: parts.out, draws: parts.rand };
}

/**
 * The numbers of a result at real tokens, row by row: of `[B, L, …]` those where the mask of its side is 1. A result that has more rows than
 * tokens was padded where it was made, and its first rows count. `pooled`: one of R < L rows has ⌈n·R/L⌉ of a text of n tokens.
 */
export function realRows(
  name: string,
  want: HostArray,
  inputs: Inputs,
  pooled = false,
): (from: HostArray) => readonly number[] {
  const ofDecoder = inputs['decoder_input_ids'] !== undefined && !/^(router\.)?encoder[_.]/.test(name);
  const mask = inputs[ofDecoder ? 'decoder_attention_mask' : 'attention_mask'];
  const tokens = inputs[ofDecoder ? 'decoder_input_ids' : 'input_ids'] ?? inputs['inputs'];
  const [B, L] = tokens?.shape ?? [];
  const [batch, rows] = want.shape;
  // of routers, one row a token, whatever text it is of
  if (B !== undefined && L !== undefined && name.startsWith('router.') && batch === B * L && mask !== undefined) {
    const size = sizeOf(want.shape.slice(1));
    return ({ data }) => Array.from(data).filter((_, i) => mask.data[Math.floor(i / size)] !== 0);
  }
  if (B === undefined || L === undefined || want.shape.length < 3 || batch !== B || (rows! < L && !pooled)) {
    return ({ data }) => Array.from(data);
  }
  const isReal = (b: number, i: number): boolean => mask === undefined || mask.data[b * L + i] !== 0;
  const counted = Array.from({ length: B }, (_, b) => {
    const all = Array.from({ length: L }, (__, i) => i).filter((i) => isReal(b, i));
    return rows! < L ? Array.from({ length: Math.ceil((all.length * rows!) / L) }, (__, i) => i) : all;
  });
  return ({ data, shape }) => {
    const size = sizeOf(shape.slice(2));
    return counted.flatMap((own, b) =>
      own.flatMap((i) => Array.from({ length: size }, (_, j) => data[(b * shape[1]! + i) * size + j]!)),
    );
  };
}
