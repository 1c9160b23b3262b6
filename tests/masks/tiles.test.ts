// of masks/{bands,boxes,comparisons,mask-tree,run-list}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { select, variable } from '../../src/codegen/expression/index.js';
import * as m from '../../src/masks/index.js';
import { atoms, composed, shapes } from './arbitrary.js';
import { kindsByHand, kindsOf, predicate } from './brute.js';

const tiles = fc.record({ queryTile: fc.integer({ min: 1, max: 40 }), keyTile: fc.integer({ min: 1, max: 40 }) });
const cases = (masks: (shape: m.AttendShape) => fc.Arbitrary<m.Mask>) =>
  shapes.chain((shape) => fc.tuple(fc.constant(shape), masks(shape), tiles));

/** Classifies, and compares every tile of every head with looking at its pairs. */
function compare(
  shape: m.AttendShape,
  mask: m.Mask,
  size: { queryTile: number; keyTile: number },
  exact: boolean,
): m.TileMap {
  const expression = mask.expression(shape);
  const options = { ...shape, ...size, queryOffset: shape.S - shape.L };
  const map = m.classifyTiles(expression, options);
  const allowed = predicate(expression, shape);
  const counts = { empty: 0, full: 0, partial: 0 };
  for (let b = 0; b < shape.B; b++) {
    for (let h = 0; h < shape.H; h++) {
      const stated = kindsOf(map, shape.H, b, h);
      const truth = kindsByHand(options, (i, k) => allowed(b, h, i, k));
      stated.forEach((kind, tile) => {
        counts[(['empty', 'partial', 'full'] as const)[kind]!]++;
        if (kind !== truth[tile] && (exact || kind !== m.PARTIAL)) {
          const at = `tile ${Math.floor(tile / map.columns)},${tile % map.columns} of head ${b},${h}`;
          throw new Error(`${String(mask)}: ${at} is stated ${kind} and is ${truth[tile]}`);
        }
      });
    }
  }
  expect(map.counts).toEqual(counts);
  return map;
}

describe('classifyTiles', () => {
  it('is exact for every built-in mask alone', () => {
    fc.assert(
      fc.property(cases(atoms), ([shape, mask, size]) => {
        compare(shape, mask, size, true);
      }),
      { numRuns: 400, interruptAfterTimeLimit: 30_000 },
    );
  });

  it('never states full or empty wrongly, however masks are combined', () => {
    fc.assert(
      fc.property(cases(composed), ([shape, mask, size]) => {
        compare(shape, mask, size, false);
      }),
      { numRuns: 600, interruptAfterTimeLimit: 30_000 },
    );
  });

  it('is exact for bands combined along diagonals', () => {
    const shape = { B: 1, H: 1, G: 1, L: 200, S: 200 };
    const size = { queryTile: 16, keyTile: 24 };
    compare(shape, m.causal().and(m.within({ radius: 30 })), size, true);
    compare(shape, m.causal().and(m.strided({ stride: 50 })), size, true);
    compare(shape, m.causal().and(m.causal().not()), size, true);
    expect(compare(shape, m.causal().and(m.causal().not()), size, true).runs).toHaveLength(0);
  });

  it('is right where boxes of tiles are decided in part', () => {
    const shape = { B: 1, H: 2, G: 1, L: 150, S: 170 };
    const masks = [
      m.mask(({ q, k }) => q.mul(k).lt(4000)),
      m.mask(({ q, k }) => q.add(k).mod(90).lt(50)),
      m.mask(({ q, k, h }) => q.sub(k).mul(q).gt(h.mul(500))),
      m.mask(({ q, k }) => select(q.add(k).lt(120), q.mul(k).lt(900), k.mod(50).lt(20))),
      m.mask(({ q, k }) => q.toF32().mul(k.toF32()).sqrt().lt(60.5)),
    ];
    for (const mask of masks) {
      const map = compare(shape, mask, { queryTile: 3, keyTile: 2 }, false);
      expect(Math.min(map.counts.empty, map.counts.full)).toBeGreaterThan(500);
    }
  });

  it('is right where documents come back after mixed tiles', () => {
    const ids = [0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0];
    const shape = { B: 1, H: 1, G: 1, L: 28, S: 28 };
    compare(shape, m.document(ids), { queryTile: 4, keyTile: 4 }, true);
    compare(shape, m.document(ids).not(), { queryTile: 4, keyTile: 2 }, true);
  });

  it('is right where one mask is used twice', () => {
    const shape = { B: 1, H: 1, G: 1, L: 120, S: 120 };
    const size = { queryTile: 5, keyTile: 4 };
    for (const [a, b] of [
      [m.strided({ stride: 20, part: 'local' }), m.document(Array.from({ length: 120 }, (_, i) => (i % 7) >> 1))],
      [m.strided({ stride: 9, part: 'local' }), m.fixed({ stride: 20, columns: 3, part: 'local' })],
      [m.fixed({ stride: 30, columns: 9, part: 'summary' }), m.fixed({ stride: 20, columns: 3, part: 'local' })],
    ] as const) {
      const alone = kindsOf(compare(shape, a, size, true), 1, 0, 0);
      for (const mask of [a.and(b.or(a.and(b.not()))), a.or(b.and(a.or(b.not())))]) {
        const kinds = kindsOf(compare(shape, mask, size, false), 1, 0, 0);
        // what a alone decides stays decided
        const decides = mask.toString().startsWith(`${String(a)}.and`) ? m.EMPTY : m.FULL;
        expect(kinds.every((kind, tile) => alone[tile] !== decides || kind === decides)).toBe(true);
      }
    }
  });

  it('keeps one class unless the mask tells batches or heads apart', () => {
    const options = { B: 2, H: 3, L: 8, S: 8, queryTile: 4, keyTile: 4, queryOffset: 0 };
    const shape = { B: 2, H: 3, G: 3, L: 8, S: 8 };
    const classes = (mask: m.Mask): unknown => m.classifyTiles(mask.expression(shape), options).classes;
    expect(classes(m.causal())).toEqual({ perBatch: false, perHead: false, count: 1 });
    expect(classes(m.lengths([3, 8]))).toEqual({ perBatch: true, perHead: false, count: 2 });
    expect(classes(m.mask(({ q, k, h }) => q.sub(k).le(h)))).toEqual({ perBatch: false, perHead: true, count: 3 });
    expect(classes(m.mask(({ k, b, h }) => k.le(h.add(b))))).toEqual({ perBatch: true, perHead: true, count: 6 });
  });

  it('gives runs of whole rows without a mask, ragged ends included', () => {
    const map = m.classifyTiles(null, { B: 1, H: 2, L: 10, S: 9, queryTile: 4, keyTile: 4, queryOffset: -1 });
    expect([...map.rowOffsets]).toEqual([0, 1, 2, 3]);
    expect([...map.runs]).toEqual([0, 3, m.FULL, 0, 3, m.FULL, 0, 3, m.FULL]);
    expect(map.counts).toEqual({ empty: 0, full: 18, partial: 0 });
    expect(map.pairs).toEqual({ full: 180, partial: 0 });
  });

  it('gives the block counts of FlexAttention for 1024 keys in blocks of 128', () => {
    const shape = { B: 1, H: 1, G: 1, L: 1024, S: 1024 };
    const options = { ...shape, queryTile: 128, keyTile: 128, queryOffset: 0 };
    const perRow = (mask: m.Mask, kind: number): number[] => {
      const kinds = kindsOf(m.classifyTiles(mask.expression(shape), options), 1, 0, 0);
      return Array.from(
        { length: 8 },
        (_, row) => kinds.subarray(8 * row, 8 * row + 8).filter((k) => k === kind).length,
      );
    };
    expect(perRow(m.causal(), m.FULL)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(perRow(m.causal(), m.PARTIAL)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect(perRow(m.within({ radius: 256 }), m.FULL)).toEqual([2, 3, 3, 3, 3, 3, 3, 2]);
    expect(perRow(m.within({ radius: 256 }), m.PARTIAL)).toEqual([1, 1, 2, 2, 2, 2, 1, 1]);
  });

  it('counts the pairs a kernel visits', () => {
    const shape = { B: 2, H: 2, G: 2, L: 10, S: 10 };
    const map = m.classifyTiles(m.causal().expression(shape), { ...shape, queryTile: 4, keyTile: 4, queryOffset: 0 });
    // rows of 4, 4 and 2 queries: full tiles before the diagonal, partial ones of 4·4, 4·4 and 2·2 on it
    expect(map.pairs).toEqual({ full: 4 * (4 * 4 + 2 * 8), partial: 4 * (16 + 16 + 4) });
  });

  it('works for a million keys in runs, not tiles', () => {
    const n = 1 << 20;
    const mask = m.within({ radius: 256 }).expression({ B: 1, H: 1, G: 1, L: n, S: n });
    const map = m.classifyTiles(mask, { B: 1, H: 1, L: n, S: n, queryTile: 64, keyTile: 64, queryOffset: 0 });
    expect(map.counts.full + map.counts.partial).toBeLessThan(10 * map.rows);
    expect(map.runs.length / 3).toBeLessThan(4 * map.rows);
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      'a tile size of 0',
      () => m.classifyTiles(null, { B: 1, H: 1, L: 1, S: 1, queryTile: 0, keyTile: 1, queryOffset: 0 }),
      /tile sizes must be whole numbers of at least 1/,
    ],
    [
      'no keys',
      () => m.classifyTiles(null, { B: 1, H: 1, L: 1, S: 0, queryTile: 1, keyTile: 1, queryOffset: 0 }),
      /B=1, H=1, L=1, S=0/,
    ],
    [
      'a number',
      () => m.classifyTiles(variable('q', 'i32'), { B: 1, H: 1, L: 1, S: 1, queryTile: 1, keyTile: 1, queryOffset: 0 }),
      /boolean expression.*type i32/,
    ],
    [
      'other variables',
      () =>
        m.classifyTiles(variable('z', 'i32').lt(1), {
          B: 1,
          H: 1,
          L: 1,
          S: 1,
          queryTile: 1,
          keyTile: 1,
          queryOffset: 0,
        }),
      /got variable z/,
    ],
  ])('refuses %s', (_, run, message) => {
    expect(run).toThrow(message);
  });
});
