import { describe, expect, test } from 'vitest';
import { mechanism, mechanisms, type AnyOptions } from '../../src/attention/index.js';
import { OneHead, type Chosen } from '../../src/studies/chosen.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';

const [length, headDim] = [48, 8];
const problem = (seed: number) => ({
  heads: 1,
  length,
  headDim,
  q: normal(seed, length * headDim),
  k: normal(seed + 1, length * headDim),
  v: new Float32Array(0),
});
const choosing = mechanisms.filter(({ definition }) => definition.choices);

test('every mechanism whose pairs the data decides says what it decided', () => {
  const decided = mechanisms.filter(({ definition }) => definition.family === 'hashing').map(({ name }) => name);
  expect(choosing.map(({ name }) => name)).toEqual(decided);
});

/** Options with which pairs follow from the groups alone, and whether a query may see a key by them. */
const rules: Readonly<
  Record<string, readonly [options: AnyOptions, sees: (chosen: Chosen) => (q: number, k: number) => boolean]>
> = {
  reformer: [{ chunkLength: 8, lookBack: 0, selfAlone: false }, together],
  hyper: [
    { blockSize: 8, sampleSize: 3, minLength: 16, numProjections: 3 },
    (chosen) => {
      const [block, sampled] = [together(chosen), new Set(chosen.shared!.keys)];
      return (q, k) => block(q, k) || sampled.has(k);
    },
  ],
  lev: [
    { topK: 5 },
    ({ shared }) =>
      (_, k) =>
        shared!.keys.includes(k),
  ],
  clusterformer: [{ numClusters: 6, chunkLength: 8 }, together],
  // the likeliest block alone, and the own one
  sinkhorn: [
    { blockSize: 8, sorting: 'topK' },
    ({ queries, keys }) =>
      (q, k) => {
        const block = queries!.groups[queries!.order.indexOf(q)]!;
        return Math.floor(k / 8) === block || keys!.order.subarray(8 * block, 8 * block + 8).includes(k);
      },
  ],
  routing: [{ numClusters: 4, clusterSize: 10 }, together],
};

/** Whether they are in one group. */
function together({ queries, keys }: Chosen): (q: number, k: number) => boolean {
  const groupsOf = (places: NonNullable<Chosen['queries']>, token: number): number[] =>
    [...places.groups].filter((_, place) => places.order[place] === token);
  return (q, k) => groupsOf(queries!, q).some((group) => groupsOf(keys!, k).includes(group));
}

onEveryDevice((on) => {
  const head = (name: string, options: AnyOptions, seed = 3): OneHead =>
    new OneHead(on.device, mechanism(name), options, problem(seed));

  test.each(Object.keys(rules))(
    '%s: a query has weight on the keys that its choices say, and on no others',
    async (name) => {
      const [options, rule] = rules[name]!;
      const one = head(name, options);
      const chosen = (await one.chosen())!;
      const { rows, columns, values } = await one.shares();
      expect([rows, columns]).toEqual([length, length]);
      const sees = rule(chosen);
      for (let q = 0; q < length; q++) {
        for (let k = 0; k < length; k++) expect(values[q * length + k]! > 0, `${q} ${k}`).toBe(sees(q, k));
      }
    },
  );

  test.each(['clustered', 'improved-clustered'])('%s: groups are all queries, each once', async (name) => {
    const chosen = (await head(name, { numClusters: 5 }).chosen())!;
    expect([...chosen.queries!.order].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
    expect([...chosen.queries!.groups]).toEqual([...chosen.queries!.groups].sort((a, b) => a - b));
    expect(new Set(chosen.queries!.groups).size).toBeGreaterThan(1);
  });

  test('queries of one cluster have the same weights', async () => {
    const one = head('clustered', { numClusters: 5 });
    const { order, groups } = (await one.chosen())!.queries!;
    const { values } = await one.shares(order);
    for (let place = 1; place < length; place++) {
      if (groups[place] !== groups[place - 1]) continue;
      const row = (at: number) => values.slice(at * length, (at + 1) * length);
      expect(row(place)).toEqual(row(place - 1));
    }
  });

  test('in another order the same weights are elsewhere', async () => {
    const one = head('clustered', { numClusters: 5 });
    const [queries, keys] = [7, 11].map((step) => Int32Array.from({ length }, (_, i) => (i * step) % length));
    const [plain, turned] = [await one.shares(), await one.shares(queries, keys)];
    const want = Float64Array.from(
      plain.values,
      (_, i) => plain.values[queries![Math.floor(i / length)]! * length + keys![i % length]!]!,
    );
    expectClose('turned', turned.values, want);
  });

  test('what is attended to whole decides nothing', async () => {
    expect(await head('reformer', { chunkLength: length }).chosen()).toBeUndefined();
    expect(await head('hyper', { minLength: length + 1 }).chosen()).toBeUndefined();
    expect(await head('flash', {}).chosen()).toBeUndefined();
  });

  test('sinkhorn: the first blocks of its order are shared by all; causal, the block before is the last that is sorted', async () => {
    const one = head('sinkhorn', { blockSize: 8, sorting: 'topK', sortCut: 2 });
    const { shared } = (await one.chosen())!;
    const { values } = await one.shares();
    expect(shared!.keys).toHaveLength(16);
    for (let k = 0; k < length; k++) expect(values[k]! > 0).toBe(shared!.keys.includes(k));
    const causal = (await head('sinkhorn', { blockSize: 8, causal: true }).chosen())!;
    // a null block beside the first
    expect([...causal.keys!.order.subarray(0, 8)]).toEqual(Array(8).fill(-1));
    causal.keys!.order.forEach((key, place) => expect(key).toBeLessThan(8 * Math.floor(place / 8)));
  });

  test('causal hyper and lev: keys of the past of their queries', async () => {
    const { queries, keys } = (await head('hyper', {
      minLength: 12,
      blockSize: 4,
      sampleSize: 2,
      causal: true,
    }).chosen())!;
    // of 48 tokens the largest square is the second half of the first 48, which sees 24
    expect(Math.min(...queries!.order)).toBe(24);
    expect(Math.max(...keys!.order)).toBe(23);
    const lev = (await head('lev', { topK: 4, blockSize: 16, causal: true }).chosen())!;
    expect(lev.shared!.keys).toHaveLength(4);
    expect(Math.max(...lev.shared!.keys)).toBeLessThan(32);
  });
});

describe('long texts', () => {
  test('are put together to 256 cells, whose shares still add up to 1', async () => {
    const { openDevice } = await import('../support/devices.js');
    const device = (await openDevice('wasm', { threads: 1 }))!;
    const n = 600;
    const long = { ...problem(1), length: n, q: normal(5, n * headDim), k: normal(6, n * headDim) };
    const { rows, columns, values } = await new OneHead(device, mechanism('flash'), {}, long).shares();
    expect([rows, columns]).toEqual([256, 256]);
    for (let row = 0; row < rows; row++) {
      const sum = values.subarray(row * columns, (row + 1) * columns).reduce((a, b) => a + b, 0);
      expect(Math.abs(sum - 1)).toBeLessThan(columns * 2 ** -23);
    }
    await device.dispose();
  });
});
