import { test } from 'vitest';
import { inducedSet } from '../../../src/attention/low-rank/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead } from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

gate(inducedSet, {
  oracle: perHead((g, p, b, h) => {
    const head = Math.floor((h * p.G) / p.H);
    const parameter = (name: string) => p.parameter(name, head);
    const scores = g.scale(g.matmulT(parameter('points'), p.k(b, h)), p.scale);
    const pack = g.softmax(scores, (_, j) => p.allowed(b, h, 0, j));
    const points = g.add(g.matmul(pack, p.v(b, h)), parameter('residual'));
    const keys = g.matmul(points, parameter('key'));
    return g.matmul(g.softmax(g.scale(g.matmulT(p.q(b, h), keys), p.scale)), points);
  }),
  options: [{ points: 5 }, { points: 1 }],
  // keys of the second attention are made of values
  weights: 'none',
  draw: (next) => ({ points: 1 + Math.floor(9 * next()) }),
});

onEveryDevice((on) => {
  const [n, D] = [23, 4];
  const run = async (all: readonly Float32Array[]): Promise<Float32Array> => {
    const out = scope(() => {
      const [q, k, v] = all.map((x) => tensor(x, [1, 1, n, D], { device: on.device })) as [Tensor, Tensor, Tensor];
      return inducedSet.run(q, k, v, { points: 4, seed: 3 }).out;
    });
    const numbers = (await out.data()) as Float32Array;
    disposeAll(out);
    return numbers;
  };

  test('elements that change places change places; the order of keys is nothing', async () => {
    const all = [1, 2, 3].map((seed) => normal(seed, n * D)) as [Float32Array, Float32Array, Float32Array];
    const moved = (x: Float32Array): Float32Array =>
      x.map((_, at) => x[((Math.floor(at / D) * 7) % n) * D + (at % D)]!);
    const plain = await run(all);
    expectClose('equivariant', await run(all.map(moved)), moved(plain), { budget: 2 ** -18 });
    expectClose('invariant', await run([all[0], moved(all[1]), moved(all[2])]), plain, { budget: 2 ** -18 });
  });
});
