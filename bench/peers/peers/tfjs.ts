import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Case, Job, Peer } from '../job.js';

/** TensorFlow.js on its WebAssembly backend: attention as its users write it, the n×n matrix in memory. */
export async function tfjsWasm(): Promise<Peer> {
  const tf = await import('@tensorflow/tfjs-core');
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(dirname(entry) + sep);
  await tf.setBackend('wasm');
  return { name: 'tfjs wasm', threads: 1, prepare: async (work) => prepare(tf, work) };
}

function prepare(tf: typeof import('@tensorflow/tfjs-core'), work: Case): Job {
  if (work.op === 'encoder') throw new Error('tfjs wasm: no encoder here');
  const tensors =
    work.op === 'matmul'
      ? [work.a, work.b].map((x) => tf.tensor2d(x, [work.n, work.n]))
      : [work.q, work.k, work.v].map((x) => tf.tensor3d(x, [work.heads, work.length, work.headDim]));
  let out: Tensor | undefined;
  return {
    async run() {
      out?.dispose();
      out = tf.tidy(() => {
        if (work.op === 'matmul') return tf.matMul(tensors[0]!, tensors[1]!);
        const scores = tf.mul(tf.matMul(tensors[0]!, tensors[1]!, false, true), 1 / Math.sqrt(work.headDim));
        return tf.matMul(tf.softmax(scores), tensors[2]!);
      });
    },
    result: async () => (await out!.data()) as Float32Array,
    async dispose() {
      tf.dispose([...tensors, ...(out ? [out] : [])]);
    },
  };
}
