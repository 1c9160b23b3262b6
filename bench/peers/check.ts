import { encoded } from './encoder.js';
import type { AttendCase, Case, MatmulCase } from './job.js';

export interface Verdict {
  readonly ok: boolean;
  readonly error: number;
  readonly budget: number;
}

/** Half a unit in the last place of 1 in float32. */
const EPSILON = 2 ** -24;

/**
 * Holds sampled rows of a result to a float64 reference. The budget is derived, not picked:
 * `2·(error of plain float32 code + ε·max|reference|)`, over the same rows.
 */
export function checker(work: Case, rows = 16): (result: Float32Array) => Verdict {
  const [total, width] = extentOf(work);
  const sample = Array.from({ length: rows }, (_, i) => Math.round((i * (total - 1)) / (rows - 1)));
  const row = rowsOf(work);
  const exactly = (x: number): number => x;
  const reference = sample.map((index) => Array.from(row(index, exactly)));
  let plainError = 0;
  let largest = 0;
  sample.forEach((index, s) => {
    const plain = row(index, Math.fround);
    reference[s]!.forEach((x, j) => {
      plainError = Math.max(plainError, Math.abs(plain[j]! - x));
      largest = Math.max(largest, Math.abs(x));
    });
  });
  const budget = 2 * (plainError + EPSILON * largest);
  return (result) => {
    let error = 0;
    let ok = result.length === total * width;
    sample.forEach((index, s) => {
      reference[s]!.forEach((x, j) => {
        const difference = Math.abs(result[index * width + j]! - x);
        if (!(difference <= error)) error = difference;
        if (!(difference <= budget)) ok = false;
      });
    });
    return { ok, error, budget };
  };
}

/** Rows of a result, and their numbers. */
function extentOf(work: Case): readonly [rows: number, width: number] {
  switch (work.op) {
    case 'matmul':
      return [work.n, work.n];
    case 'attend':
      return [work.heads * work.length, work.headDim];
    case 'encoder':
      return [work.length, work.width];
  }
}

function rowsOf(work: Case): (index: number, round: (x: number) => number) => ArrayLike<number> {
  switch (work.op) {
    case 'matmul':
      return (index, round) => matmulRow(work, index, round);
    case 'attend':
      return (index, round) => attendRow(work, index, round);
    case 'encoder': {
      // a row after the second layer needs all rows after the first
      const whole = new Map<unknown, Float64Array>();
      return (index, round) => {
        const rows = whole.get(round) ?? encoded(work, round);
        whole.set(round, rows);
        return rows.subarray(index * work.width, (index + 1) * work.width);
      };
    }
  }
}

function matmulRow({ n, a, b }: MatmulCase, i: number, round: (x: number) => number): number[] {
  return Array.from({ length: n }, (_, j) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum = round(sum + round(a[i * n + k]! * b[k * n + j]!));
    return sum;
  });
}

function attendRow({ length, headDim, q, k, v }: AttendCase, index: number, round: (x: number) => number): number[] {
  const base = Math.floor(index / length) * length * headDim;
  const scale = round(1 / Math.sqrt(headDim));
  const scores = Array.from({ length }, (_, j) => {
    let dot = 0;
    for (let d = 0; d < headDim; d++) dot = round(dot + round(q[index * headDim + d]! * k[base + j * headDim + d]!));
    return round(dot * scale);
  });
  const max = scores.reduce((x, y) => Math.max(x, y));
  const weights = scores.map((score) => round(Math.exp(round(score - max))));
  const sum = weights.reduce((x, y) => round(x + y));
  return Array.from({ length: headDim }, (_, d) => {
    let out = 0;
    for (let j = 0; j < length; j++) out = round(out + round(weights[j]! * v[base + j * headDim + d]!));
    return round(out / sum);
  });
}
