import { attend, createDevice, matmul, tensor, type Tensor } from 'subquad';
import type { Peer } from '../job.js';

export async function subquad(kind: 'native' | 'wasm', threads: number): Promise<Peer> {
  const device = await createDevice({ kind, threads });
  return {
    name: `subquad ${kind}`,
    threads,
    async prepare(work) {
      const shape = work.op === 'matmul' ? [work.n, work.n] : [1, work.heads, work.length, work.headDim];
      const arrays = work.op === 'matmul' ? [work.a, work.b] : [work.q, work.k, work.v];
      const inputs = arrays.map((x) => tensor(x, shape, { device }));
      let out: Tensor | undefined;
      return {
        async run() {
          out?.dispose();
          out =
            work.op === 'matmul' ? matmul(inputs[0]!, inputs[1]!) : attend(inputs[0]!, inputs[1]!, inputs[2]!, {}).out;
          await device.synchronise();
        },
        result: async () => (await out!.data()) as Float32Array,
        async dispose() {
          out?.dispose();
          for (const x of inputs) x.dispose();
        },
      };
    },
  };
}
