import * as fc from 'fast-check';
import * as masks from '../../src/masks/index.js';
import * as scores from '../../src/scores/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import type { AttendProblem, Cotangents, ScoreStep } from '../oracles/attend.js';
import * as rules from '../oracles/rules.js';
import { normal, uniform } from '../support/random.js';
import type { Setting, TableData } from './attend-run.js';

export interface Shape {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
}

/** A mask of the library, and the same rule without it. */
interface MaskPair {
  readonly mask: masks.Mask;
  readonly rule: rules.Rule;
}

/** A score change of the library, the same without it, and the tensor it reads. */
interface ScorePair {
  readonly score: (table: Tensor) => scores.Score;
  readonly step: (shape: Shape, table: TableData) => ScoreStep;
  readonly table?: (shape: Shape, seed: number) => TableData;
}

// more pairs than this are left to the long cases
const mostPairs = 12_000;

const shapes: fc.Arbitrary<Shape> = fc
  .record({
    B: fc.integer({ min: 1, max: 2 }),
    G: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 3 }),
    L: fc.integer({ min: 1, max: 200 }),
    S: fc.integer({ min: 1, max: 200 }),
  })
  .map(({ B, G, group, L, S }) =>
    B * G * group * L * S <= mostPairs
      ? { B, H: G * group, G, L, S }
      : { B: 1, H: 1, G: 1, L, S: Math.min(S, Math.floor(mostPairs / L)) },
  );

const small = fc.integer({ min: 1, max: 24 });
const ids = (length: number): fc.Arbitrary<Int32Array> =>
  fc
    .tuple(fc.nat(1000), small)
    .map(([seed, run]) =>
      Int32Array.from(uniform(seed, length, 0, 3), (x, i) => (run > 12 ? Math.floor(i / run) : Math.floor(x))),
    );

const windows = (left: number, right: number): MaskPair => ({
  mask: masks.within({ left, right }),
  rule: rules.window(left, right),
});

const atoms = ({ B, L, S }: Shape): fc.Arbitrary<MaskPair> =>
  fc.oneof(
    fc.constant({ mask: masks.causal(), rule: rules.causal }),
    fc.nat(40).map((radius) => ({ mask: masks.within({ radius }), rule: rules.window(radius, radius) })),
    fc.tuple(small, fc.nat(20)).map(([left, right]) => windows(left, right)),
    fc.tuple(small, fc.nat(9)).map(([dilation, radiusSlots]) => ({
      mask: masks.dilated({ dilation, radiusSlots }),
      rule: rules.dilated(dilation, radiusSlots),
    })),
    small.map((stride) => ({ mask: masks.strided({ stride }), rule: rules.strided(stride) })),
    fc
      .tuple(small, small)
      .map(([a, b]) => ({ stride: Math.max(a, b), columns: Math.min(a, b) }))
      .map((options) => ({ mask: masks.fixed(options), rule: rules.fixed(options.stride, options.columns) })),
    small.map((size) => ({ mask: masks.blocks({ size }), rule: rules.blocks(size) })),
    fc.nat(S).map((length) => ({ mask: masks.prefix(length), rule: rules.prefix(length) })),
    ids(B * S).map((list) => ({ mask: masks.document(list), rule: rules.document(list) })),
    fc
      .array(fc.nat(S), { minLength: B, maxLength: B })
      .map((list) => ({ mask: masks.lengths(list), rule: rules.lengths(list) })),
    fc
      .array(fc.nat(S - 1), { maxLength: 12 })
      .map((list) => ({ mask: masks.global(list), rule: rules.windowOrGlobal(-1, list) })),
    fc
      .nat(1000)
      .map((seed) => Uint8Array.from(uniform(seed, L * S, 0, 1), (x) => Number(x < 0.3)))
      .map((data) => ({ mask: masks.dense(data, [L, S]), rule: rules.dense(data) })),
  );

const composed = (shape: Shape): fc.Arbitrary<MaskPair> =>
  fc.oneof(
    { arbitrary: atoms(shape), weight: 2 },
    fc
      .tuple(atoms(shape), atoms(shape))
      .map(([a, b]) => ({ mask: a.mask.and(b.mask), rule: rules.both(a.rule, b.rule) })),
    fc
      .tuple(atoms(shape), atoms(shape))
      .map(([a, b]) => ({ mask: a.mask.or(b.mask), rule: rules.either(a.rule, b.rule) })),
    atoms(shape).map((a) => ({ mask: a.mask.not(), rule: rules.neither(a.rule) })),
  );

const softcap = (cap: number): ScorePair => ({ score: () => scores.softcap(cap), step: () => rules.softcap(cap) });

const change = ({ B, H, L, S }: Shape): fc.Arbitrary<ScorePair> =>
  fc.oneof(
    fc.constantFrom(1, 5, 30).map(softcap),
    fc.constant({ score: () => scores.alibi(), step: rules.alibi }),
    fc.boolean().map((bidirectional) => {
      const rule = { buckets: 8, maxDistance: 40, bidirectional };
      return {
        score: (table: Tensor) => scores.t5Bias(table, rule),
        step: (shape: Shape, table: TableData) => rules.t5(table.data, rule, shape),
        table: (shape: Shape, seed: number) => ({ data: normal(seed, 8 * shape.H), shape: [8, shape.H] }),
      };
    }),
    fc.tuple(...[B, H, L, S].map((extent) => fc.constantFrom(1, extent))).map((extents) => ({
      score: (table: Tensor) => scores.bias(table),
      step: (_: Shape, table: TableData) => rules.bias(table.data, table.shape),
      table: (_: Shape, seed: number) => ({
        data: normal(
          seed,
          extents.reduce((a, b) => a * b),
        ),
        shape: extents,
      }),
    })),
  );

const sizes = fc.oneof(
  { arbitrary: fc.constantFrom(1, 2, 4, 5, 8, 16, 24, 33, 64), weight: 8 },
  { arbitrary: fc.integer({ min: 1, max: 256 }), weight: 1 },
);

export interface RandomSetting extends Setting {
  readonly seed: number;
  /** What a failing run prints. */
  readonly [fc.toStringMethod]: () => string;
}

const leftWindows = fc.integer({ min: 2, max: 60 }).map((left) => windows(left, Infinity));

/**
 * Problems of random shapes, masks and scores, with what the library is to be asked. `'few'` keeps to one head size, to
 * windows to the left and to one soft-cap, for a device where every further expression is compiled for a second.
 */
export function settings(kernels: 'all' | 'few'): fc.Arbitrary<RandomSetting> {
  const all = kernels === 'all';
  const size = all ? sizes : fc.constant(16);
  return shapes.chain((shape) =>
    fc
      .record({
        seed: fc.nat(2 ** 30),
        D: size,
        E: size,
        isCausal: all ? fc.boolean() : fc.constant(true),
        scale: fc.constantFrom(undefined, 1, 0.3),
        mask: fc.option(all ? composed(shape) : leftWindows, { nil: undefined }),
        changes: all ? fc.array(change(shape), { maxLength: 2 }) : fc.array(fc.constant(softcap(5)), { maxLength: 1 }),
        alsoLogsumexp: fc.boolean(),
      })
      .map((c) => setting(shape, c)),
  );
}

interface Choice {
  readonly seed: number;
  readonly D: number;
  readonly E: number;
  readonly isCausal: boolean;
  readonly scale: number | undefined;
  readonly mask: MaskPair | undefined;
  readonly changes: readonly ScorePair[];
  readonly alsoLogsumexp: boolean;
}

function setting(shape: Shape, c: Choice): RandomSetting {
  const { seed, D, E, isCausal, scale, mask, changes } = c;
  const rule = isCausal ? (mask ? rules.both(rules.causal, mask.rule) : rules.causal) : mask?.rule;
  const tables = changes.map((x, i) => x.table?.(shape, seed + 10 + i) ?? { data: [], shape: [0] });
  const read = changes.flatMap((x, i) => (x.table ? [i] : []));
  const data = inputs(shape, D, E, seed);
  const problem: AttendProblem = {
    ...data.problem,
    ...(scale === undefined ? {} : { scale }),
    ...(rule && { allowed: rule(shape) }),
    score: changes.map((x, i) => x.step(shape, tables[i]!)),
  };
  const shown = {
    ...shape,
    D,
    E,
    isCausal,
    scale,
    mask: String(mask?.mask),
    tables: read.map((i) => tables[i]!.shape),
  };
  return {
    seed,
    [fc.toStringMethod]: () => `${JSON.stringify(shown)}, ${changes.length} score changes, seed ${seed}`,
    problem,
    tables: read.map((i) => tables[i]!),
    options: (tensors) => {
      const made = changes.map((x, i) => x.score(tensors[read.indexOf(i)]!));
      return {
        causal: isCausal,
        ...(mask && { mask: mask.mask }),
        ...(made.length > 0 && { score: made.reduce((a, b) => a.andThen(b)) }),
      };
    },
    cotangents: c.alsoLogsumexp ? data.cotangents : { dout: data.cotangents.dout },
  };
}

/** Seeded normal numbers for a shape. */
export function inputs(
  shape: Shape,
  D: number,
  E: number,
  seed: number,
): { problem: AttendProblem; cotangents: Required<Cotangents> } {
  const { B, H, G, L, S } = shape;
  return {
    problem: {
      ...shape,
      D,
      E,
      q: normal(seed, B * H * L * D),
      k: normal(seed + 1, B * G * S * D),
      v: normal(seed + 2, B * G * S * E),
    },
    cotangents: { dout: normal(seed + 3, B * H * L * E), dlogsumexp: normal(seed + 4, B * H * L) },
  };
}
