import { expect, test } from 'vitest';
import { clusterformer } from '../../../src/attention/hashing/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { directions, nearest, nearness } from '../../oracles/centroids.js';
import { perHead, rowLogsumexp, scoresOf, type Oracle, type OracleProblem } from '../../oracles/graph.js';
import { onEveryDevice } from '../../support/devices.js';

interface Options {
  readonly numClusters: number;
  readonly decay: number;
  readonly commitment: number;
  readonly chunkLength: number;
}

/** Whether i and j are in one chunk of the tokens, sorted by the nearest centroid. */
function together(p: OracleProblem<Options>, b: number, h: number): (i: number, j: number) => boolean {
  const own = nearest(nearness(directions(p.k(b, h), p.lengths?.[b] ?? p.S), p.parameter('centroids', h)));
  const order = own.map((_, i) => i).sort((i, j) => own[i]! - own[j]! || i - j);
  const chunks = own.map((_, i) => Math.floor(order.indexOf(i) / p.options.chunkLength));
  return (i, j) => i < own.length && chunks[i] === chunks[j] && p.allowed(b, h, i, j);
}

const formula: Oracle<Options> = perHead((g, p, b, h) =>
  g.matmul(g.softmax(scoresOf(g, p, b, h), together(p, b, h)), p.v(b, h)),
);

gate(clusterformer, {
  oracle: formula,
  logsumexp: perHead((g, p, b, h) => rowLogsumexp(g, scoresOf(g, p, b, h), together(p, b, h))),
  options: [{ numClusters: 3, chunkLength: 5 }],
  draw: (next, { L }) => ({
    numClusters: 1 + Math.floor(next() * Math.min(L, 6)),
    chunkLength: 1 + Math.floor(12 * next()),
  }),
  exactWhen: [{ options: { numClusters: 3, chunkLength: 17 } }],
  refused: [{ options: { numClusters: 18 } }, { shape: { D: 2, E: 2 } }],
});

onEveryDevice((on) => {
  const [near, far] = [
    [3, 0, 0],
    [0, 3, 0],
  ] as const;
  const call = async (keys: readonly (readonly number[])[], more: object = {}) => {
    const all = scope(() => {
      const make = (x: readonly number[], columns: number): Tensor =>
        tensor(Float32Array.from(x), [1, 1, keys.length, columns], { device: on.device });
      const [q, k] = [make(new Array<number>(3 * keys.length).fill(0), 3), make(keys.flat(), 3)];
      const v = make([1, 2, 4, 8, 16].slice(0, keys.length), 1);
      const centroids = tensor([...near, ...far], [1, 2, 3], { device: on.device });
      const given = { numClusters: 2, chunkLength: 2, decay: 0, parameters: { centroids }, ...more };
      return { q, k, v, centroids, result: clusterformer.run(q, k, v, given) };
    });
    const { out, updates } = all.result;
    const numbers = { out: Array.from(await out.data()), next: updates && Array.from(await updates.centroids!.data()) };
    disposeAll(all);
    return numbers;
  };

  test('by hand: chunks of two of the order by clusters, which may cut a cluster', async () => {
    expect((await call([far, near, far, near])).out).toEqual([2.5, 5, 2.5, 5]);
    expect((await call([near, near, far, near])).out).toEqual([1.5, 1.5, 6, 6]);
    // the chunk at the end has one token
    expect((await call([far, near, near, near, far])).out).toEqual([4.5, 3, 3, 4.5, 16]);
    // padding is in no chunk with others
    expect((await call([far, near, far, near, near], { lengths: [3] })).out.slice(0, 3)).toEqual([1.5, 1.5, 4]);
  });

  test('in training centroids move to the mean of their tokens', async () => {
    const training = { seed: 1, purpose: 'step 1' };
    const { next } = await call([near, near, near, far], { lengths: [3], training });
    const unit = 3 / Math.sqrt(2 + 1e-5);
    const want = [(2 * unit) / 3, -unit / 3, -unit / 3, ...far];
    next!.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 6));
    expect((await call([near, far])).next).toBe(undefined);
  });
});
