import type { AttendCase, Case, Job, MatmulCase, Peer } from '../job.js';

/** Plain JavaScript loops over Float32Arrays, written as a careful user would, without blocking. */
export async function plainLoops(): Promise<Peer> {
  return { name: 'plain loops', threads: 1, prepare: async (work) => prepare(work) };
}

function prepare(work: Case): Job {
  if (work.op === 'encoder') throw new Error('plain loops: no encoder here');
  let out = new Float32Array(0);
  return {
    async run() {
      out = work.op === 'matmul' ? matmul(work) : attend(work);
    },
    result: async () => out,
    dispose: async () => {},
  };
}

function matmul({ n, a, b }: MatmulCase): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const x = a[i * n + k]!;
      for (let j = 0; j < n; j++) out[i * n + j]! += x * b[k * n + j]!;
    }
  }
  return out;
}

function attend({ heads, length, headDim, q, k, v }: AttendCase): Float32Array<ArrayBuffer> {
  const out = new Float32Array(heads * length * headDim);
  const scale = 1 / Math.sqrt(headDim);
  const row = new Float32Array(length);
  for (let h = 0; h < heads; h++) {
    const base = h * length * headDim;
    for (let i = base; i < base + length * headDim; i += headDim) {
      let max = -Infinity;
      for (let j = 0; j < length; j++) {
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += q[i + d]! * k[base + j * headDim + d]!;
        row[j] = dot * scale;
        max = Math.max(max, row[j]!);
      }
      let sum = 0;
      for (let j = 0; j < length; j++) sum += row[j] = Math.exp(row[j]! - max);
      for (let j = 0; j < length; j++) {
        const weight = row[j]! / sum;
        for (let d = 0; d < headDim; d++) out[i + d]! += weight * v[base + j * headDim + d]!;
      }
    }
  }
  return out;
}
