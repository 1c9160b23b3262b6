import type { InferenceSession, Tensor, TypedTensor } from 'onnxruntime-common';
import { type Case, fromInterleaved, type Job, type Peer, toInterleaved } from '../job.js';
import { model } from '../onnx.js';

interface Runtime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => TypedTensor<'float32'>;
}

/** onnxruntime's native CPU provider: the fused MultiHeadAttention of its `com.microsoft` operators. */
export async function onnxruntimeNode(threads: number): Promise<Peer> {
  const runtime = (await import('onnxruntime-node')) as Runtime;
  const options: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  };
  return { name: 'onnxruntime-node', threads, prepare: (work) => prepare(runtime, options, work) };
}

/** The same operators compiled to WebAssembly SIMD. Its thread count is a setting of the module, not of the session. */
export async function onnxruntimeWeb(): Promise<Peer> {
  const runtime = await import('onnxruntime-web');
  runtime.env.wasm.numThreads = 1;
  const options: InferenceSession.SessionOptions = { executionProviders: ['wasm'] };
  return { name: 'onnxruntime-web', threads: 1, prepare: (work) => prepare(runtime as Runtime, options, work) };
}

async function prepare(runtime: Runtime, options: InferenceSession.SessionOptions, work: Case): Promise<Job> {
  const { bytes, arrays, shape } = work.op === 'matmul' ? matmulGraph(work) : attendGraph(work);
  const session = await runtime.InferenceSession.create(bytes, options);
  const feeds: Record<string, Tensor> = {};
  for (const [name, data] of Object.entries(arrays)) feeds[name] = new runtime.Tensor('float32', data, shape);
  let out: Tensor | undefined;
  return {
    async run() {
      out = (await session.run(feeds))['out'];
    },
    async result() {
      const data = (await out!.getData()) as Float32Array;
      return work.op === 'matmul' ? data : fromInterleaved(data, work.heads, work.length, work.headDim);
    },
    dispose: () => session.release(),
  };
}

function matmulGraph({ n, a, b }: Case & { op: 'matmul' }) {
  const shape = [n, n];
  const bytes = model({ type: 'MatMul', domain: '', inputs: { a: shape, b: shape }, output: shape });
  return { bytes, arrays: { a, b }, shape };
}

function attendGraph({ heads, length, headDim, q, k, v }: Case & { op: 'attend' }) {
  const shape = [1, length, heads * headDim];
  const bytes = model({
    type: 'MultiHeadAttention',
    domain: 'com.microsoft',
    inputs: { q: shape, k: shape, v: shape },
    output: shape,
    attributes: { num_heads: heads },
  });
  const interleave = (x: Float32Array) => toInterleaved(x, heads, length, headDim);
  return { bytes, arrays: { q: interleave(q), k: interleave(k), v: interleave(v) }, shape };
}
