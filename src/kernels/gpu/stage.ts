import { wgslFunction } from '../../codegen/render/wgsl-function.js';
import { bytesPerElement, type FloatDtype } from '../../core/dtype.js';
import { fromBf16, fromF16 } from '../cast/convert.js';

// What texts for GPUs have in common. Operands of a product go through workgroup memory as quads: vectors of four neighbouring rows at
// one step of the inner sum, which any stride in memory allows, and neighbouring invocations read neighbouring words.

/** `n` lines of text. */
export const each = (n: number, line: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => line(i)).join('\n');

/** `load_f32(element)` and its kin, of elements of the whole memory, and `load_f32_if(there, element)`, else 0: texts for GPUs read tensors with these. */
export function loaders(dtypes: readonly FloatDtype[]): string {
  const wanted = [...new Set(dtypes)];
  const half = wanted.some((dtype) => dtype !== 'f32')
    ? 'fn half(i: u32) -> u32 { return (arena[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu; }\n'
    : '';
  const text: Record<FloatDtype, string> = {
    f32: 'fn load_f32(i: u32) -> f32 { return bitcast<f32>(arena[i]); }\n',
    f16: `${wgslFunction('fromF16', { bits: 'vi' }, (k, [bits]) => fromF16(k, bits as never))}
fn load_f16(i: u32) -> f32 { return fromF16(vec4<i32>(i32(half(i)))).x; }\n`,
    bf16: `${wgslFunction('fromBf16', { bits: 'vi' }, (k, [bits]) => fromBf16(k, bits as never))}
fn load_bf16(i: u32) -> f32 { return fromBf16(vec4<i32>(i32(half(i)))).x; }\n`,
  };
  // what is not there is not read
  const guarded = (dtype: FloatDtype): string =>
    `fn load_${dtype}_if(there: bool, i: u32) -> f32 {\n  if (there) { return load_${dtype}(i); }\n  return 0.0;\n}\n`;
  return half + wanted.map((dtype) => text[dtype] + guarded(dtype)).join('');
}

export interface Staging {
  /** The first vector of workgroup memory to fill. */
  readonly to: string;
  /** Quads of rows, and vectors from one step to the next. */
  readonly quads: number;
  readonly pitch: number;
  /** Steps, an expression or a number; those from `steps` on are not written. */
  readonly steps: string | number;
  /** Along what memory is contiguous: neighbouring invocations follow it. */
  readonly along: 'steps' | 'rows';
  /** The value of a row at a step, 0 where there is none; both are WGSL expressions. */
  readonly value: (row: string, step: string) => string;
  readonly invocations: number;
}

/** Fills `memory[to + step·pitch + quad]` with four rows at a step. */
export function stage({ to, quads, pitch, steps, along, value, invocations }: Staging): string {
  const count = typeof steps === 'number' ? `${steps}u` : steps;
  const [quad, step] = along === 'steps' ? [`i / ${count}`, `i % ${count}`] : [`i % ${quads}u`, `i / ${quads}u`];
  const rows = [0, 1, 2, 3].map((r) => value(`(4u * quad + ${r}u)`, 'step'));
  return `
    for (var i = lane; i < ${quads}u * ${count}; i += ${invocations}u) {
      let quad = ${quad};
      let step = ${step};
      memory[${to} + step * ${pitch}u + quad] = vec4<f32>(${rows.join(', ')});
    }`;
}

/** A tensor's element, or 0 where it is not `there`. */
export const loadOf = (dtype: FloatDtype, pointer: string, element: string, there: string): string =>
  `load_${dtype}_if(${there}, ${pointer} / ${bytesPerElement[dtype]}u + ${element})`;
