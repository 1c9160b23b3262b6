import { encoderFlops, type EncoderCase } from './encoder.js';

/** `q`, `k`, `v` as `[heads, length, headDim]`, batch 1, keys as many as queries. */
export interface AttendCase {
  readonly op: 'attend';
  readonly heads: number;
  readonly length: number;
  readonly headDim: number;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** `a` and `b` as `[n, n]`. */
export interface MatmulCase {
  readonly op: 'matmul';
  readonly n: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

export type Case = AttendCase | MatmulCase | EncoderCase;

/** Work that is ready to run: inputs converted, session built. Only `run` is timed. */
export interface Job {
  /** Resolves when the result exists in memory; converts nothing. */
  run(): Promise<void>;
  /** The result of the latest run, as `[heads, length, headDim]`, `[n, n]` or `[length, width]`. */
  result(): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  readonly threads: number;
  prepare(work: Case): Promise<Job>;
}

/** Multiply-adds count as two; attention forward is `4·n²·D` per head, the row statistics are free. */
export function flops(work: Case): number {
  if (work.op === 'encoder') return encoderFlops(work);
  return work.op === 'matmul' ? 2 * work.n ** 3 : 4 * work.heads * work.length ** 2 * work.headDim;
}

/** `[heads, length, headDim]` to the `[length, heads·headDim]` that ONNX operators take. */
export function toInterleaved(x: Float32Array, heads: number, length: number, headDim: number): Float32Array {
  const y = new Float32Array(x.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i++) {
      const from = (h * length + i) * headDim;
      y.set(x.subarray(from, from + headDim), (i * heads + h) * headDim);
    }
  }
  return y;
}

/** The inverse of {@link toInterleaved}. */
export function fromInterleaved(y: Float32Array, heads: number, length: number, headDim: number): Float32Array {
  const x = new Float32Array(y.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i++) {
      const from = (i * heads + h) * headDim;
      x.set(y.subarray(from, from + headDim), (h * length + i) * headDim);
    }
  }
  return x;
}
