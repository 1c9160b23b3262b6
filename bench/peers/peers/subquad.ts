import { attend, createDevice, matmul, noGradient, tensor, type Device, type Tensor } from 'subquad';
import { readConfig, Stack } from 'subquad/models';
import { EPSILON, type EncoderCase } from '../encoder.js';
import type { Case, Peer } from '../job.js';

export async function subquad(kind: 'native' | 'wasm', threads: number): Promise<Peer> {
  const device = await createDevice({ kind, threads });
  return {
    name: `subquad ${kind}`,
    threads,
    async prepare(work) {
      const { call, dispose } = prepared(work, device);
      let out: Tensor | undefined;
      return {
        async run() {
          out?.dispose();
          out = noGradient(call);
          await device.synchronise();
        },
        result: async () => (await out!.data()) as Float32Array,
        async dispose() {
          out?.dispose();
          dispose();
        },
      };
    },
  };
}

function prepared(work: Case, device: Device): { readonly call: () => Tensor; readonly dispose: () => void } {
  const given = (shape: readonly number[], ...arrays: readonly Float32Array[]) => {
    const inputs = arrays.map((x) => tensor(x, shape, { device }));
    return { inputs, dispose: () => inputs.forEach((x) => x.dispose()) };
  };
  switch (work.op) {
    case 'matmul': {
      const { inputs, dispose } = given([work.n, work.n], work.a, work.b);
      return { call: () => matmul(inputs[0]!, inputs[1]!), dispose };
    }
    case 'attend': {
      const { inputs, dispose } = given([1, work.heads, work.length, work.headDim], work.q, work.k, work.v);
      return { call: () => attend(inputs[0]!, inputs[1]!, inputs[2]!, {}).out, dispose };
    }
    case 'encoder': {
      const { inputs, dispose } = given([1, work.length, work.width], work.x);
      const stack = encoder(work, device);
      return {
        call: () => stack.forward(inputs[0]!).stream,
        dispose: () => {
          dispose();
          stack.dispose();
        },
      };
    }
  }
}

function encoder({ layers, width, heads, hidden, length }: EncoderCase, device: Device): Stack {
  const config = readConfig({
    kind: 'encoder',
    layers: layers.length,
    width,
    heads,
    length,
    bias: true,
    position: 'none',
    norm: { kind: 'layer', place: 'post', epsilon: EPSILON },
    feedForward: { hidden, activation: 'gelu' },
  });
  const stack = new Stack(config, { causal: false, cross: false }).initialise({ device, seed: 0 });
  const names = {
    qkv: 'attention.qkv',
    out: 'attention.out',
    norm1: 'attentionResidual.norm',
    up: 'feedForward.up',
    down: 'feedForward.down',
    norm2: 'feedForwardResidual.norm',
  } as const;
  const own = stack.stateDict();
  const state = new Map<string, Tensor>();
  layers.forEach((layer, i) => {
    for (const [theirs, ours] of Object.entries(names)) {
      for (const part of ['weight', 'bias'] as const) {
        const name = `layers.${i}.${ours}.${part}`;
        state.set(name, tensor(layer[theirs as keyof typeof names][part], own.get(name)!.shape, { device }));
      }
    }
  });
  stack.load(state);
  for (const one of state.values()) one.dispose();
  return stack;
}
