import { expect, test } from 'vitest';
import { philox as reference } from '../../src/core/random.js';
import { dropTile } from '../../src/kernels/attend/dropout.js';
import { philox } from '../../src/kernels/philox.js';
import { attendTiles } from '../../src/kernels/attend/layout.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { parameterList } from '../../src/kernels/parameters.js';
import { generator } from '../support/random.js';
import { onEveryTarget } from '../support/targets.js';

const COUNT = 512;
const lanes: Kernel = {
  name: 'philox lanes',
  key: '',
  parameters: [...Array.from({ length: 8 }, () => 'pointer' as const), 'i32', 'i32'],
  cpu: (k) => {
    const pointers = Array.from({ length: 8 }, (_, i) => k.parameter(i, 'pointer'));
    const seed = [k.parameter(8, 'i32'), k.parameter(9, 'i32')] as const;
    const step = (i: typeof k.begin): void => {
      const at = pointers.map((pointer) => k.offset(pointer, i, 4));
      const words = philox(k, [k.loadVI(at[0]!), k.loadVI(at[1]!), k.loadVI(at[2]!), k.loadVI(at[3]!)], seed);
      words.forEach((word, w) => k.store(at[4 + w]!, word));
    };
    k.loop(0, COUNT, step, k.width);
  },
};

const tileParameters = parameterList({
  lines: 'pointer',
  count: 'i32',
  k0: 'i32',
  firstQuery: 'i32',
  head: 'i32',
  residue: 'i32',
  seedLow: 'i32',
  seedHigh: 'i32',
  keepBelow: 'i32',
  keepFactor: 'f32',
});
const tile = (period: number): Kernel => ({
  name: 'dropout of a tile',
  key: '',
  parameters: tileParameters.kinds,
  cpu: (k) => {
    const p = tileParameters.read(k);
    dropTile(k, attendTiles(k.width, choice), p, { ...p, period });
  },
});
/** By period: whole sequences, and every third row and key. */
const tiles = new Map([1, 3].map((period) => [period, tile(period)]));

const choice = { queryTile: 32, keyBlock: 16 };

onEveryTarget((target) => {
  test('philox: the words of every lane are those of core/random', () => {
    const next = generator(1);
    const extremes = [0, 0xffffffff, 1, 0x80000000];
    const draw = (i: number): number =>
      i < 64 ? extremes[Math.floor(i / 4 ** Math.floor(4 * next())) % 4]! : next() * 2 ** 32;
    for (const [low, high] of [
      [0, 0],
      [0xffffffff, 0xffffffff],
      [0x9e3779b9, 7],
    ] as const) {
      const counters = [0, 1, 2, 3].map(() => Uint32Array.from({ length: COUNT }, (_, i) => draw(i)));
      const words = [0, 1, 2, 3].map(() => new Uint32Array(COUNT));
      target.run(lanes, [...counters, ...words, low | 0, high | 0]);
      const want = Array.from({ length: COUNT }, (_, i) =>
        reference(counters.map((list) => list[i]!) as [number, number, number, number], [low, high]),
      );
      words.forEach((list, w) => expect([...list], `word ${w}`).toEqual(want.map((four) => four[w])));
    }
  });

  const { panel, keyTile } = attendTiles(target.width, choice);
  const start = Float32Array.from({ length: keyTile * panel }, (_, i) => 1 + (i % 97));
  interface At {
    readonly count: number;
    readonly k0: number;
    readonly firstQuery: number;
    readonly head: number;
    readonly period: 1 | 3;
    readonly residue: number;
    readonly seed: readonly [number, number];
    readonly keep: number;
  }
  const drop = (
    { count, k0, firstQuery, head, period, residue, seed, keep }: At,
    lines: Float32Array = start.slice(),
    line = 0,
  ): Float32Array => {
    const part = lines.slice(line * panel);
    const numbers = [
      count,
      k0,
      firstQuery,
      head,
      residue,
      seed[0] | 0,
      seed[1] | 0,
      Math.round(keep * 2 ** 31),
      1 / keep,
    ];
    target.run(tiles.get(period)!, [part, ...numbers]);
    lines.set(part, line * panel);
    return lines;
  };
  const cases: readonly At[] = [
    { count: 8, k0: 0, firstQuery: 0, head: 0, period: 1, residue: 0, seed: [1, 0], keep: 0.75 },
    { count: 24, k0: 96, firstQuery: 128, head: 5, period: 1, residue: 0, seed: [0xdeadbeef, 3], keep: 0.5 },
    { count: 96, k0: 4, firstQuery: 1000, head: 11, period: 3, residue: 2, seed: [7, 0xffffffff], keep: 0.9 },
    { count: 5, k0: 1024, firstQuery: 2 ** 20, head: 2, period: 1, residue: 0, seed: [5, 5], keep: 0.25 },
    { count: 7, k0: 24, firstQuery: 64, head: 1, period: 3, residue: 0, seed: [5, 5], keep: 0.5 },
  ];

  test.each(cases)(
    'what is dropped depends on seed, head, query and key alone: $count keys from $k0, period $period',
    (at) => {
      const got = drop(at);
      let kept = 0;
      for (let j = 0; j < at.count; j++) {
        for (let lane = 0; lane < panel; lane++) {
          const [query, key] = [at.firstQuery + lane, at.k0 + j].map((place) => place * at.period + at.residue) as [
            number,
            number,
          ];
          const words = reference([query, key >>> 2, at.head, 0], [at.seed[0], at.seed[1]]);
          const keeps = words[key & 3]! >>> 1 < Math.round(at.keep * 2 ** 31);
          const x = start[j * panel + lane]!;
          const want = keeps ? Math.fround(x * Math.fround(1 / at.keep)) : 0;
          expect(got[j * panel + lane], `key ${key}, query ${query}`).toBe(want);
          kept += Number(keeps);
        }
      }
      // both happen, else the cases would show nothing
      expect(kept).toBeGreaterThan(0);
      expect(kept).toBeLessThan(at.count * panel);
      // nothing beyond the last block of four keys is touched
      const end = (at.period === 1 ? 4 * Math.ceil(at.count / 4) : at.count) * panel;
      expect(got.subarray(end)).toEqual(start.subarray(end));
    },
  );

  test('a step in two parts is the step', () => {
    const at = cases[1]!;
    const lines = drop({ ...at, count: 8 });
    expect(drop({ ...at, count: 16, k0: at.k0 + 8 }, lines, 8)).toEqual(drop(at));
  });
});
