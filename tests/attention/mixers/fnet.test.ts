import { expect, test } from 'vitest';
import { fnet } from '../../../src/attention/mixers/index.js';
import { disposeAll, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import type { Graph, Matrix, Oracle } from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';

/** cos and −sin of the Fourier matrix of n points. */
function waves(g: Graph, n: number): [Matrix, Matrix] {
  const table = (f: (angle: number) => number): Matrix =>
    g.constant(
      Float64Array.from({ length: n * n }, (_, i) => f((-2 * Math.PI * ((Math.floor(i / n) * (i % n)) % n)) / n)),
      n,
      n,
    );
  return [table(Math.cos), table(Math.sin)];
}

/** cos·X·cos − sin·X·sin of the heads side by side. */
const oracle: Oracle = (g, p) => {
  const { B, H, L, E } = p;
  const [[cosL, sinL], [cosD, sinD]] = [waves(g, L), waves(g, H * E)];
  return Array.from({ length: B }, (_, b) => {
    const x = g.concatColumns(Array.from({ length: H }, (__, h) => p.v(b, h)));
    const even = g.matmul(g.matmul(cosL, x), cosD);
    const mixed = g.sub(even, g.matmul(g.matmul(sinL, x), sinD));
    return Array.from({ length: H }, (__, h) => g.columns(mixed, h * E, (h + 1) * E));
  }).flat();
};

gate(fnet, { oracle, weights: 'none' });

onEveryDevice((on) => {
  test('rows of the published fixture, one head of 3 and three heads of 1', async () => {
    const v = Float32Array.from({ length: 18 }, (_, i) => Math.sin(3 + 0.5 * i));
    const want = [-3.252116, 0.657954, 0.657954, -6.583696, 1.383768, -0.175605];
    const create = (shape: readonly number[], data = v): ReturnType<typeof tensor> =>
      tensor(data, shape, { device: on.device });
    const one = create([1, 1, 6, 3]);
    const { out } = fnet.run(one, one, one);
    // the numbers are printed with six digits
    expectClose('one head', (await out.data()).slice(0, 6), want, { budget: 2e-6 });
    const three = create(
      [1, 3, 6, 1],
      Float32Array.from(v, (_, i) => v[(i % 6) * 3 + Math.floor(i / 6)]!),
    );
    const heads = fnet.run(three, three, three);
    const got = await heads.out.data();
    expectClose('three heads', [got[0]!, got[6]!, got[12]!, got[1]!, got[7]!, got[13]!], want, { budget: 2e-6 });
    disposeAll([one, out, three, heads.out]);
  });

  test('the first output of the first head is the sum of all values', async () => {
    const x = tensor(new Float32Array(2 * 2 * 5 * 4).fill(1), [2, 2, 5, 4], { device: on.device });
    const { out } = fnet.run(x, x, x);
    const got = await out.data();
    expect([got[0], got[40]]).toEqual([40, 40]);
    expect(Math.max(...got.slice(1, 40).map(Math.abs))).toBeLessThan(1e-5);
    disposeAll([x, out]);
  });
});
