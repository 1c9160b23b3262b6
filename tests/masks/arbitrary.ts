import * as fc from 'fast-check';
import { lookup, select, tableOf } from '../../src/codegen/expression/index.js';
import * as m from '../../src/masks/index.js';

const small = fc.integer({ min: 1, max: 40 });
const part = fc.constantFrom<m.Part>('union', 'local', 'summary');

/** Shapes small enough to look at every pair. */
export const shapes: fc.Arbitrary<m.AttendShape> = fc
  .record({
    B: fc.integer({ min: 1, max: 2 }),
    H: fc.integer({ min: 1, max: 3 }),
    L: fc.integer({ min: 1, max: 90 }),
    S: fc.integer({ min: 1, max: 90 }),
  })
  .map((shape) => ({ ...shape, G: 1 }));

/** Ids in stretches, or scattered. */
const ids = (length: number): fc.Arbitrary<number[]> =>
  fc.oneof(
    fc.array(fc.nat(4), { minLength: length, maxLength: length }),
    fc.array(fc.nat(6), { minLength: length, maxLength: length }).map((steps) => {
      let id = 0;
      return steps.map((step) => (id += Number(step === 0)));
    }),
  );

/** Built-in masks whose classification is exact on their own. */
export function atoms(shape: m.AttendShape): fc.Arbitrary<m.Mask> {
  const { B, H, L, S } = shape;
  return fc.oneof(
    fc.constant(m.causal()),
    small.map((radius) => m.within({ radius })),
    fc
      .tuple(fc.integer({ min: -5, max: 30 }), fc.integer({ min: 5, max: 30 }))
      .map(([left, right]) => m.within({ left, right })),
    fc.constantFrom(m.within({ left: Infinity, right: 3 }), m.within({ left: -2, right: Infinity })),
    small.map((causalWindow) => m.within({ causalWindow })),
    fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.nat(12))
      .map(([dilation, radiusSlots]) => m.dilated({ dilation, radiusSlots })),
    fc
      .tuple(fc.integer({ min: 1, max: 9 }), small)
      .map(([dilation, causalSlots]) => m.dilated({ dilation, causalSlots })),
    fc.tuple(small, part).map(([stride, p]) => m.strided({ stride, part: p })),
    fc
      .tuple(small, small, fc.constantFrom<m.Part>('local', 'summary'))
      .map(([stride, c, p]) => m.fixed({ stride, columns: Math.min(c, stride), part: p })),
    small.map((size) => m.blocks({ size })),
    fc
      .tuple(fc.array(fc.nat(S - 1), { maxLength: 20 }), fc.constantFrom<m.GlobalAccess>('readOnly', 'writeOnly'))
      .map(([list, access]) => m.global(list, { access })),
    fc.nat(100).map((first) => m.global({ first }, { access: 'readOnly' })),
    ids(S).map((list) => m.document(list)),
    ids(B * S).map((list) => m.document(list)),
    fc.array(fc.nat(S), { minLength: B, maxLength: B }).map((list) => m.lengths(list)),
    fc.array(fc.boolean(), { minLength: L * S, maxLength: L * S }).map((data) => m.dense(data, [L, S])),
    fc.array(fc.constantFrom(0, 1), { minLength: B * H, maxLength: B * H }).map((data) =>
      m.dense(
        Uint8Array.from({ length: B * H * L * S }, (_, i) => data[Math.floor(i / (L * S))]!),
        [B, H, L, S],
      ),
    ),
  );
}

/** Masks that no builder makes: other slopes, products, f32, tables of the difference, heads told apart. */
function odd(): fc.Arbitrary<m.Mask> {
  const table = tableOf(
    'steps',
    Int32Array.from({ length: 100 }, (_, i) => (i * 7) % 11),
  );
  return fc.integer({ min: 1, max: 12 }).chain((n) =>
    fc.constantFrom(
      m.mask(({ q, k }) => k.mul(n).le(q)),
      m.mask(({ q, k }) =>
        q
          .mul(k)
          .mod(n)
          .lt(Math.ceil(n / 2)),
      ),
      m.mask(({ q, k }) => q.add(k).lt(10 * n)),
      m.mask(({ q, k, h }) => q.sub(k).abs().le(h.mul(n))),
      m.mask(({ q, k, b }) => q.sub(k).mod(b.add(n)).eq(0)),
      m.mask(({ q, k }) =>
        q
          .toF32()
          .mul(0.1)
          .le(k.toF32().mul(0.1 * n)),
      ),
      m.mask(({ q, k }) => lookup(table, q.sub(k).abs()).gt(n - 2)),
      m.mask(({ q, k }) => lookup(table, q).gt(lookup(table, k))),
      m.mask(({ q, k }) => lookup(table, q).ge(lookup(table, k).add(k).sub(n))),
      m.mask(({ q, k, h }) => h.eq(0).or(q.ne(k))),
      m.mask(({ q, k, b }) => select(k.mod(n).eq(b), q.lt(30), k.le(q))),
      m.prefix(n),
      m.fixed({ stride: n + 3, columns: 2 }),
      m.global({ first: n }),
    ),
  );
}

/** Masks combined at random. */
export function composed(shape: m.AttendShape, depth = 2): fc.Arbitrary<m.Mask> {
  const leaf = fc.oneof(atoms(shape), odd());
  if (depth === 0) return leaf;
  const inner = composed(shape, depth - 1);
  return fc.oneof(
    leaf,
    fc.tuple(inner, inner).map(([a, b]) => a.and(b)),
    fc.tuple(inner, inner).map(([a, b]) => a.or(b)),
    inner.map((a) => a.not()),
  );
}
