import {
  differentiate,
  liftConstants,
  provablyInRange,
  tablesOf,
  topological,
  type Expression,
} from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import type { AttendSpec } from '../../kernels/attend/spec.js';
import { ranges, type AttendShape } from '../../masks/index.js';

/** A kernel's specialisation, and the constants that were lifted out of its expressions. */
export interface Specialised {
  readonly spec: AttendSpec;
  readonly constants: readonly Constant[];
}

interface Constant {
  readonly type: 'f32' | 'i32';
  readonly value: number;
}

type Sizes = Pick<AttendSpec, 'D' | 'E' | 'dropout' | 'period' | 'queryTile' | 'keyBlock'>;

/** The same object for the same expressions and sizes, whatever the lengths: what devices compiled for it is found by identity. */
export const specialise = memoised(specialised, {
  by: (score, mask, { D, E, dropout, period, queryTile, keyBlock }, positions) => [
    score,
    mask,
    [D, E, dropout, period, queryTile, keyBlock],
    // without expressions, sizes of the sequence change nothing
    score === undefined && mask === undefined ? undefined : Object.values(positions),
  ],
  most: 64,
});

function specialised(
  score: Expression | undefined,
  mask: Expression | undefined,
  sizes: Sizes,
  positions: AttendShape,
): Specialised {
  const constants: Constant[] = [];
  const lift = (expression: Expression | undefined): Expression | undefined => {
    if (expression === undefined) return undefined;
    const { expression: lifted, values, types } = liftConstants(expression, constants.length);
    values.forEach((value, i) => constants.push({ type: types[i]!, value }));
    return lifted;
  };
  const lifted = { score: lift(score), slope: lift(slopeOf(score)), mask: lift(mask) };
  const expressions = Object.values(lifted).filter((e) => e !== undefined);
  const { D, E, dropout, period, queryTile, keyBlock } = sizes;
  return {
    spec: {
      D,
      E,
      dropout,
      period,
      queryTile,
      keyBlock,
      ...lifted,
      hides: score !== undefined && hides(score),
      constantTypes: constants.map(({ type }) => type),
      tables: [...new Set(expressions.flatMap((e) => tablesOf(e)))],
      proven: provenReads(
        expressions,
        positions,
        constants.map(({ value }) => value),
      ),
    },
    constants,
  };
}

/** Whether a score change gives −∞ by a literal, such as `select(seen, score, -Infinity)`. */
const hides = (score: Expression): boolean =>
  topological(score).some((e) => e.op === 'constant' && e.type === 'f32' && e.value === -Infinity);

/** ∂score′/∂score, undefined where it is 1. */
function slopeOf(score: Expression | undefined): Expression | undefined {
  const slope = score && differentiate(score, 'score');
  return slope?.op === 'constant' && slope.value === 1 ? undefined : slope;
}

/** Table reads whose indices never leave their table. */
function provenReads(
  expressions: readonly Expression[],
  shape: AttendShape,
  values: readonly number[],
): ReadonlySet<Expression> {
  const box = ranges(shape);
  const reads = expressions.flatMap((e) => topological(e)).filter((e) => e.table !== undefined);
  return new Set(reads.filter((read) => provablyInRange(read, box, values)));
}
