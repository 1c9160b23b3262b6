// of ops/attend-gathered/{order,rule}

import { describe, expect, test } from 'vitest';
import { lookup, select } from '../../src/codegen/expression/index.js';
import { within } from '../../src/masks/index.js';
import { attendGathered, type GatheredOptions } from '../../src/ops/attend-gathered.js';
import { argsort } from '../../src/ops/sort.js';
import { bias, integerTable } from '../../src/scores/index.js';
import { tensorTable } from '../../src/scores/tensor.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { expectedOf, expectResults, permutation, type Results } from '../oracles/attend-budget.js';
import type { AttendProblem, Cotangents, Pair } from '../oracles/attend.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { inputs } from './attend-arbitrary.js';

const D = 16;

/** A list per batch and head. */
interface Lists {
  readonly heads: number;
  readonly rows: readonly (readonly number[])[];
}

const lists = (B: number, heads: number, n: number, seed: number, count = n): Lists => ({
  heads,
  rows: Array.from({ length: B * heads }, (_, i) => permutation(n, seed + i).slice(0, count)),
});

const listTensor = (device: Device, B: number, { heads, rows }: Lists): Tensor =>
  tensor(Int32Array.from(rows.flat()), [B, heads, rows[0]!.length], { device });

interface Setting {
  readonly problem: AttendProblem;
  readonly cotangents: Cotangents;
  readonly queries?: Lists | undefined;
  readonly keys?: Lists | undefined;
  readonly options?: (tables: readonly Tensor[]) => GatheredOptions;
  readonly table?: ArrayLike<number>;
}

async function run(device: Device, { problem, cotangents, queries, keys, options, table }: Setting): Promise<Results> {
  const { B, H, G, L, S, E } = problem;
  const make = (data: ArrayLike<number>, shape: number[], requiresGradient = true): Tensor =>
    tensor(Float32Array.from(data), shape, { device, requiresGradient });
  const held = scope(() => {
    const qkv = [make(problem.q, [B, H, L, D]), make(problem.k, [B, G, S, D]), make(problem.v, [B, G, S, E])] as const;
    const tables = table ? [make(table, [table.length])] : [];
    const { out, logsumexp } = attendGathered(...qkv, {
      ...(queries && { queryOrder: listTensor(device, B, queries) }),
      ...(keys && { keyOrder: listTensor(device, B, keys) }),
      ...(problem.scale !== undefined && { scale: problem.scale }),
      ...options?.(tables),
    });
    const given = [make(cotangents.dout, [B, H, L, E], false), make(cotangents.dlogsumexp!, [B, H, L], false)];
    const found = gradients([out, logsumexp], [...qkv, ...tables], given);
    return [out, logsumexp, ...found];
  });
  const names = ['out', 'logsumexp', 'dq', 'dk', 'dv', 'dtable0'];
  const results: Record<string, ArrayLike<number>> = {};
  for (const [i, x] of held.entries()) results[names[i]!] = await x.data();
  disposeAll(held);
  return results;
}

/** Where each row of a list is; −1 for rows that it leaves out. */
const places = ({ rows }: Lists, n: number): number[][] =>
  rows.map((row) => Array.from({ length: n }, (_, position) => row.indexOf(position)));

/** What plain attention may see when `seen(place of the query in the keys' numbering, place of the key)` says so. */
function allowedBy(
  { H, L, S }: AttendProblem,
  queries: Lists | undefined,
  keys: Lists | undefined,
  seen: (q: number, k: number) => boolean,
): (at: Pair) => boolean {
  const [ofQueries, ofKeys] = [queries && places(queries, L), keys && places(keys, S)];
  const shift = (keys?.rows[0]!.length ?? S) - (queries?.rows[0]!.length ?? L);
  return ({ b, h, i, j }) => {
    const q = ofQueries ? ofQueries[b * H + h]![i]! : i;
    const k = ofKeys ? ofKeys[b * keys!.heads + Math.floor((h * keys!.heads) / H)]![j]! : j;
    return q >= 0 && k >= 0 && seen(q + shift, k);
  };
}

const near = (q: number, k: number): boolean => Math.abs(q - k) <= 12;
const shape = { B: 2, H: 4, G: 2, L: 70, S: 100 };
const { B, H, G, L, S } = shape;
const { problem, cotangents } = inputs(shape, D, D, 31);
const queryLists = lists(B, H, L, 100);

onEveryDevice((on) => {
  describe('agrees with plain attention under the mask that the lists make', () => {
    test.each<[string, Lists | undefined, Lists | undefined]>([
      ['queries and keys of key heads', queryLists, lists(B, G, S, 200)],
      ['keys of query heads', queryLists, lists(B, H, S, 300)],
      ['queries alone', queryLists, undefined],
      ['keys alone', undefined, lists(B, G, S, 200)],
      ['some queries and some keys', lists(B, H, L, 400, 41), lists(B, G, S, 500, 67)],
    ])('%s', async (_, queries, keys) => {
      const allowed = allowedBy(problem, queries, keys, near);
      const expected = expectedOf({ ...problem, allowed }, cotangents);
      const options = (): GatheredOptions => ({ mask: within({ radius: 12 }) });
      expectResults('gathered', await run(on.device, { problem, cotangents, queries, keys, options }), expected);
    });

    test('causal by the original positions', async () => {
      const keys = lists(B, G, S, 200);
      const byPlace = allowedBy(problem, queryLists, keys, (q, k) => Math.abs(q - k) <= 2);
      const allowed = (at: Pair): boolean => byPlace(at) && at.j <= at.i + S - L;
      const expected = expectedOf({ ...problem, allowed }, cotangents);
      const options = (): GatheredOptions => ({ mask: within({ radius: 2 }), causal: true });
      const results = await run(on.device, { problem, cotangents, queries: queryLists, keys, options });
      expectResults('causal', results, expected);
      expect(Array.from(results['logsumexp']!)).toContain(-Infinity);
    });

    test('a score by positions: itself only where there is nothing else, and a learned bias of the key', async () => {
      const square = { B: 1, H: 2, G: 2, L: 60, S: 60 };
      const one = inputs(square, D, D, 41);
      const order = lists(1, 2, 60, 600);
      const seen = (q: number, k: number): boolean => k <= q && q - k < 2;
      const bias = Float32Array.from({ length: 60 }, (_, j) => Math.sin(j));
      // the self is replaced, so that it has no slope
      const score = [
        {
          value: (s: number, { j }: Pair, r: (x: number) => number) => r(s + bias[j]!),
          slope: () => 1,
          table: { size: 60, index: ({ j }: Pair) => j },
        },
        {
          value: (s: number, { i, j }: Pair) => (i === j ? -1e5 : s),
          slope: (_: number, { i, j }: Pair) => Number(i !== j),
        },
      ];
      const allowed = allowedBy(one.problem, order, order, seen);
      const expected = expectedOf({ ...one.problem, allowed, score }, one.cotangents);
      const options = ([table]: readonly Tensor[]): GatheredOptions => ({
        mask: within({ left: 1, right: 0 }),
        score: ({ score: s, queryPosition, keyPosition }) =>
          select(keyPosition.eq(queryPosition), -1e5, s.add(lookup(tensorTable('bias', 'bias', table!), keyPosition))),
      });
      const results = await run(on.device, { ...one, queries: order, keys: order, options, table: bias });
      expectResults('self', results, expected);
    });

    test('keys that are listed twice count twice, and their gradients add up', async () => {
      const one = inputs({ B: 1, H: 1, G: 1, L: 30, S: 40 }, D, D, 51);
      const twice = { heads: 1, rows: [[...permutation(40, 1), ...permutation(40, 2).slice(0, 20)]] };
      const times = Array.from({ length: 40 }, (_, j) => twice.rows[0]!.filter((x) => x === j).length);
      const score = [
        { value: (s: number, { j }: Pair, r: (x: number) => number) => r(s + Math.log(times[j]!)), slope: () => 1 },
      ];
      const expected = expectedOf({ ...one.problem, score }, one.cotangents);
      expectResults('twice', await run(on.device, { ...one, keys: twice }), expected);
    });
  });

  test('NaN in a key that nobody sees stays there', async () => {
    const poisoned = { ...problem, k: Float32Array.from(problem.k), v: Float32Array.from(problem.v) };
    // the last key of the first head, which causality hides from all rows but the last
    poisoned.k.fill(NaN, (S - 1) * D, S * D);
    poisoned.v.fill(NaN, (S - 1) * D, S * D);
    const keys = lists(B, G, S, 200);
    const setting = { cotangents, queries: queryLists, keys, options: () => ({ causal: true }) };
    const [clean, dirty] = [
      await run(on.device, { ...setting, problem }),
      await run(on.device, { ...setting, problem: poisoned }),
    ];
    for (const [name, columns] of [
      ['out', D],
      ['logsumexp', 1],
      ['dq', D],
    ] as const) {
      const spared = (x: Results): number[] =>
        Array.from(x[name]!).filter(
          (_, i) => Math.floor(i / columns) >= 2 * L || Math.floor(i / columns) % L !== L - 1,
        );
      expect(spared(dirty).some(Number.isNaN)).toBe(false);
      expectSameBits(name, spared(dirty), spared(clean));
    }
  });

  test('nothing gathered is kept for the gradient', () => {
    const { device } = on;
    const n = 256;
    const [q, v] = [1, 2].map((seed) =>
      tensor(inputs({ B: 1, H: 1, G: 1, L: n, S: n }, D, D, seed).problem.q as Float32Array, [1, 1, n, D], {
        device,
        requiresGradient: true,
      }),
    ) as [Tensor, Tensor];
    const order = tensor(Int32Array.from(permutation(n, 3)), [1, 1, n], { device });
    const before = device.ledger.live();
    const { out, logsumexp } = attendGathered(q, q, v, { queryOrder: order, keyOrder: order });
    const results = out.byteLength + logsumexp.byteLength;
    // beside them the map of tiles: a row offset for each tile of queries, a run of keys each, and which head opens
    const tiles = Math.ceil(n / 16);
    expect(device.ledger.live() - before - results).toBeLessThanOrEqual(4 * (tiles + 1) + 12 * tiles + 4 + 3 * 8);
    disposeAll([q, v, order, out, logsumexp]);
  });

  test('equal bits for every number of threads', async () => {
    const keys = lists(B, G, S, 200);
    const options = (): GatheredOptions => ({ mask: within({ radius: 12 }), causal: true });
    const [one, ...more] = await withThreads(on.kind, [1, 2, 3], (device) =>
      run(device, { problem, cotangents, queries: queryLists, keys, options }),
    );
    for (const results of more) for (const name of Object.keys(one!)) expectSameBits(name, results[name]!, one![name]!);
  });

  test('tiles are skipped by the mask alone', () => {
    const { device } = on;
    const n = 2048;
    const { counters } = scope(() => {
      const x = tensor(new Float32Array(n * D), [1, 1, n, D], { device });
      const order = argsort(tensor(new Float32Array(n), [1, 1, n], { device }));
      const mask = within({ radius: 16 });
      const { counters } = attendGathered(x, x, x, { queryOrder: order, keyOrder: order, mask, causal: true });
      return { counters };
    });
    expect(counters.pairsVisited).toBeLessThan(n * 200);
    expect(counters.tiles.empty).toBeGreaterThan(counters.tiles.partial);
  });

  test('a query that is listed twice is noticed before anything is read', async () => {
    const { device } = on;
    await scope(async () => {
      const x = tensor(new Float32Array(5 * D), [1, 1, 5, D], { device });
      const queryOrder = tensor(Int32Array.of(0, 3, 3), [1, 1, 3], { device });
      const call = async (): Promise<unknown> => attendGathered(x, x, x, { queryOrder }).out.data();
      await expect(call()).rejects.toThrow('one is listed 2 times');
    });
  });

  test('refusals name what does not fit', () => {
    const { device } = on;
    scope(() => {
      const [q, k] = [
        tensor(new Float32Array(2 * 5 * D), [1, 2, 5, D], { device }),
        tensor(new Float32Array(7 * D), [1, 1, 7, D], { device }),
      ];
      const list = (numbers: number[], shape: number[]): Tensor => tensor(Int32Array.from(numbers), shape, { device });
      const call = (options: GatheredOptions) => () => attendGathered(q, k, k, options);
      expect(call({ queryOrder: list([0, 1], [1, 1, 2]) })).toThrow('queryOrder must be [1,2,m]; got [1,1,2]');
      expect(call({ queryOrder: list([0, 1, 5, 2], [1, 2, 2]) })).toThrow(
        'queryOrder must be from 0 to 4 (5 rows); got 5 at [0,1,0]',
      );
      expect(call({ keyOrder: list([0, 1, 2], [1, 3, 1]) })).toThrow(
        'keyOrder must be [1,1,m] or [1,2,m]; got [1,3,1]',
      );
      expect(call({ keyOrder: tensor([0, 1], [1, 1, 2], { device }) })).toThrow('keyOrder must be i32');
      expect(call({ score: bias(q) as unknown as never })).toThrow('score must be a function');
      expect(() => integerTable('q', q)).toThrow('i32 or u8');
    });
  });
});
