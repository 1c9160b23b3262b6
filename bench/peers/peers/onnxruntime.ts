import type { InferenceSession, Tensor, TypedTensor } from 'onnxruntime-common';
import { EPSILON, type Affine, type EncoderCase } from '../encoder.js';
import {
  type AttendCase,
  type Case,
  fromInterleaved,
  type Job,
  type MatmulCase,
  type Peer,
  toInterleaved,
} from '../job.js';
import { model, type Graph, type Node } from '../onnx.js';

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
  const { graph, arrays } = graphOf(work);
  const session = await runtime.InferenceSession.create(model(graph), options);
  const feeds: Record<string, Tensor> = {};
  for (const [name, data] of Object.entries(arrays))
    feeds[name] = new runtime.Tensor('float32', data, graph.inputs[name]!);
  let out: Tensor | undefined;
  return {
    async run() {
      out = (await session.run(feeds))['out'];
    },
    async result() {
      const data = (await out!.getData()) as Float32Array;
      return work.op !== 'attend' ? data : fromInterleaved(data, work.heads, work.length, work.headDim);
    },
    dispose: () => session.release(),
  };
}

interface Prepared {
  readonly graph: Graph;
  readonly arrays: Readonly<Record<string, Float32Array>>;
}

function graphOf(work: Case): Prepared {
  switch (work.op) {
    case 'matmul':
      return matmulGraph(work);
    case 'attend':
      return attendGraph(work);
    case 'encoder':
      return { graph: encoderGraph(work), arrays: { x: work.x } };
  }
}

function matmulGraph({ n, a, b }: MatmulCase): Prepared {
  const shape = [n, n];
  const nodes: Node[] = [{ type: 'MatMul', domain: '', inputs: ['a', 'b'], output: 'out' }];
  return { graph: { inputs: { a: shape, b: shape }, nodes, output: shape }, arrays: { a, b } };
}

function attendGraph({ heads, length, headDim, q, k, v }: AttendCase): Prepared {
  const shape = [1, length, heads * headDim];
  const attributes = { num_heads: heads };
  const nodes: Node[] = [
    { type: 'MultiHeadAttention', domain: 'com.microsoft', inputs: ['q', 'k', 'v'], output: 'out', attributes },
  ];
  const interleave = (x: Float32Array) => toInterleaved(x, heads, length, headDim);
  return {
    graph: { inputs: { q: shape, k: shape, v: shape }, nodes, output: shape },
    arrays: { q: interleave(q), k: interleave(k), v: interleave(v) },
  };
}

/** The fused operators that its own optimiser makes of a BERT: Attention, SkipLayerNormalization, BiasGelu. */
function encoderGraph({ length, width, heads, hidden, layers }: EncoderCase): Graph {
  const domain = 'com.microsoft';
  const weights: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  const matrix = (name: string, { weight, bias }: Affine, shape: readonly number[]): void => {
    weights[`${name}.weight`] = { shape, data: weight };
    weights[`${name}.bias`] = { shape: [bias.length], data: bias };
  };
  const nodes = layers.flatMap((layer, i): Node[] => {
    const at = (name: string): string => `${name}.${i}`;
    matrix(at('qkv'), layer.qkv, [width, 3 * width]);
    matrix(at('out'), layer.out, [width, width]);
    matrix(at('norm1'), layer.norm1, [width]);
    matrix(at('up'), layer.up, [width, hidden]);
    matrix(at('down'), layer.down, [hidden, width]);
    matrix(at('norm2'), layer.norm2, [width]);
    const x = i === 0 ? 'x' : at('x');
    const y = i === layers.length - 1 ? 'out' : `x.${i + 1}`;
    const of = (name: string, ...parts: readonly string[]) => parts.map((part) => `${at(name)}.${part}`);
    const product = (from: string, name: string, to: string): Node => ({
      type: 'MatMul',
      domain: '',
      inputs: [from, ...of(name, 'weight')],
      output: to,
    });
    const normalised = (skip: string, from: string, name: string, bias: string, to: string): Node => ({
      type: 'SkipLayerNormalization',
      domain,
      inputs: [from, skip, ...of(name, 'weight', 'bias'), ...of(bias, 'bias')],
      output: to,
      attributes: { epsilon: EPSILON },
    });
    return [
      {
        type: 'Attention',
        domain,
        inputs: [x, ...of('qkv', 'weight', 'bias')],
        output: at('attended'),
        attributes: { num_heads: heads },
      },
      product(at('attended'), 'out', at('projected')),
      normalised(x, at('projected'), 'norm1', 'out', at('middle')),
      product(at('middle'), 'up', at('hidden')),
      { type: 'BiasGelu', domain, inputs: [at('hidden'), ...of('up', 'bias')], output: at('active') },
      product(at('active'), 'down', at('fed')),
      normalised(at('middle'), at('fed'), 'norm2', 'down', y),
    ];
  });
  const shape = [1, length, width];
  return { inputs: { x: shape }, weights, nodes, output: shape };
}
