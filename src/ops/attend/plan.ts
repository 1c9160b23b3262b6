import {
  differentiate,
  liftConstants,
  provablyInRange,
  tablesOf,
  topological,
  type Expression,

} from '../../codegen/expression/index.js';
import { log2e } from '../../codegen/math.js';
import { attendTiles } from '../../kernels/attend/layout.js';
import type { AttendSpec } from '../../kernels/attend/spec.js';
import { causal, ranges, type AttendShape, type Mask } from '../../masks/index.js';
import { classifyTiles, type TileMap } from '../../masks/tiles.js';
import type { Score } from '../../scores/index.js';

/** What one shape, mask and score change mean for the kernels: worked out on the host, once for equal inputs. */
export interface AttendPlan {
  readonly spec: AttendSpec;
  readonly tiles: TileMap;
  readonly constants: readonly { readonly type: 'f32' | 'i32'; readonly value: number }[];
  /** 1 where scores are changed in natural units, log₂e where they go straight to base 2. */
  readonly unit: number;
  readonly maskExpression: Expression | null;
}

export interface PlanOptions {
  readonly D: number;
  readonly E: number;
  readonly width: number;
  readonly dropout: boolean;
}

const known = new WeakMap<Expression, Map<string, TileMap>>();

/** The tile map of an expression, kept as long as the expression lives. */
function tileMap(expression: Expression | null, shape: AttendShape, width: number): TileMap {
  const { queryTile, keyBlock } = attendTiles(width);
  const { B, H, L, S } = shape;
  const classify = (): TileMap =>
    classifyTiles(expression, { B, H, L, S, queryTile, keyTile: keyBlock, queryOffset: S - L });
  if (expression === null) return classify();
  const maps = known.get(expression) ?? new Map<string, TileMap>();
  known.set(expression, maps);
  const name = [B, H, L, S, queryTile, keyBlock].join();
  const map = maps.get(name) ?? classify();
  maps.set(name, map);
  return map;
}

const bothCausal = new WeakMap<Mask, Mask>();
const onlyCausal = causal();

/** `causal ∧ mask`, the same object for the same mask. */
export function combineMasks(isCausal: boolean, mask: Mask | undefined): Mask | undefined {
  if (!isCausal) return mask;
  if (mask === undefined) return onlyCausal;
  const combined = bothCausal.get(mask) ?? onlyCausal.and(mask);
  bothCausal.set(mask, combined);
  return combined;
}

export function planAttend(
  shape: AttendShape,
  mask: Mask | undefined,
  score: Score | undefined,
  options: PlanOptions,
): AttendPlan {
  const maskExpression = mask?.expression(shape) ?? null;
  const tiles = tileMap(maskExpression, shape, options.width);
  // where no tile is partial, the mask is never evaluated
  const evaluated = tiles.counts.partial > 0 ? maskExpression : null;
  const scoreExpression = score?.expression(shape);
  const parts = new Lifter();
  const lifted = {
    score: parts.lift(scoreExpression),
    slope: parts.lift(slopeOf(scoreExpression)),
    mask: parts.lift(evaluated ?? undefined),
  };
  const expressions = Object.values(lifted).filter((e) => e !== undefined);
  const tables = [...new Set(expressions.flatMap((e) => tablesOf(e)))];
  return {
    spec: {
      D: options.D,
      E: options.E,
      ...lifted,
      constantTypes: parts.constants.map(({ type }) => type),
      tables,
      checked: checkedReads(expressions, shape, parts.values),
      dropout: options.dropout,
      period: 1,
    },
    tiles,
    constants: parts.constants,
    unit: scoreExpression === undefined ? log2e : 1,
    maskExpression,
  };
}

/** ∂score′/∂score, undefined where it is 1. */
function slopeOf(score: Expression | undefined): Expression | undefined {
  const slope = score && differentiate(score, 'score');
  return slope?.op === 'constant' && slope.value === 1 ? undefined : slope;
}

/** Lifts the constants of several expressions into one list. */
class Lifter {
  readonly constants: { readonly type: 'f32' | 'i32'; readonly value: number }[] = [];

  get values(): readonly number[] {
    return this.constants.map(({ value }) => value);
  }

  lift(expression: Expression | undefined): Expression | undefined {
    if (expression === undefined) return undefined;
    const { expression: lifted, values, types } = liftConstants(expression, this.constants.length);
    values.forEach((value, i) => this.constants.push({ type: types[i]!, value }));
    return lifted;
  }
}

/** Table reads whose indices may leave their table. */
function checkedReads(expressions: readonly Expression[], shape: AttendShape, values: readonly number[]): ReadonlySet<Expression> {
  const box = ranges(shape);
  const reads = expressions.flatMap((e) => topological(e)).filter((e) => e.table !== undefined);
  return new Set(reads.filter((read) => !provablyInRange(read, box, values)));
}

