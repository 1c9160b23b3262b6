import {
  differentiate,
  liftConstants,
  provablyInRange,
  tablesOf,
  topological,
  type Expression,
} from '../../codegen/expression/index.js';
import { defaultKeyBlock, queryTiles, type TileChoice } from '../../kernels/attend/layout.js';
import type { AttendSpec } from '../../kernels/attend/spec.js';
import { causal, periodicity, ranges, type AttendShape, type Mask } from '../../masks/index.js';
import { classifyTiles, type TileMap } from '../../masks/tiles.js';
import { keyBlocksFor } from './key-blocks.js';
import { Remembered } from './remembered.js';
import { splitMask, type MaskPart } from './split.js';

/** What one shape, mask and score change mean for the kernels: worked out on the host, once for equal inputs. */
export interface AttendPlan {
  readonly spec: AttendSpec;
  readonly tiles: TileMap;
  readonly visited: Visited;
  readonly constants: readonly { readonly type: 'f32' | 'i32'; readonly value: number }[];
  /** The keys it is about, where they are gathered: its mask and score then read places in this list. */
  readonly keys?: Int32Array;
}

export interface PlanOptions {
  readonly D: number;
  readonly E: number;
  readonly dropout: boolean;
  /** The values that q and k take where they are not those of the shape: steps of one sequence then share a kernel. */
  readonly positions?: AttendShape;
}

/** What a mask is to the kernels: tiles of the score matrix of one residue class, and the mask within it. */
interface MaskPlan {
  readonly period: number;
  readonly mask: Expression | null;
  readonly choice: TileChoice;
  readonly tiles: TileMap;
  readonly visited: Visited;
}

/** Tiles and pairs over all heads and residue classes. */
export interface Visited {
  readonly pairs: number;
  readonly tiles: { readonly empty: number; readonly full: number; readonly partial: number };
}

// a step of a decoder is a shape of its own
const maskPlans = new Remembered<MaskPlan>(256);

/** The cheapest cut of the score matrix into tiles: coarse first, finer as long as that pays. */
const planMask = (expression: Expression | null, shape: AttendShape): MaskPlan =>
  maskPlans.get(expression, undefined, Object.values(shape).join(), () => {
    if (expression === null) return planAll(shape);
    let best: { readonly plan: MaskPlan; readonly cost: number } | undefined;
    for (const { queryTile, costOfPair } of queryTiles) {
      // pairs in full tiles stay what they are
      if (best && best.cost <= costOfPair * best.plan.tiles.pairs.full) break;
      for (const keyBlock of keyBlocksFor(expression)) {
        const plan = planWithTiles(expression, shape, { queryTile, keyBlock });
        const { full, partial } = plan.tiles.pairs;
        // evaluating the mask costs about a quarter of a pair
        const cost = padding(Math.ceil(shape.L / plan.period), queryTile) * costOfPair * (full + 1.25 * partial);
        if (best === undefined || cost < best.cost) best = { plan, cost };
      }
    }
    return best!.plan;
  });

/** A tile is computed whole, however few its queries. */
const padding = (rows: number, queryTile: number): number => (Math.ceil(rows / queryTile) * queryTile) / rows;

/** Of a row's tiles without a mask there is nothing to find out. */
function planAll(shape: AttendShape): MaskPlan {
  const costs = queryTiles.map(({ queryTile, costOfPair }) => costOfPair * padding(shape.L, queryTile));
  const { queryTile } = queryTiles[costs.indexOf(Math.min(...costs))]!;
  return planWithTiles(null, shape, { queryTile, keyBlock: defaultKeyBlock });
}

const planWithTiles = (expression: Expression | null, shape: AttendShape, choice: TileChoice): MaskPlan =>
  maskPlans.get(expression, undefined, [...Object.values(shape), choice.queryTile, choice.keyBlock].join(), () =>
    classified(expression, shape, choice),
  );

function classified(expression: Expression | null, shape: AttendShape, choice: TileChoice): MaskPlan {
  const { queryTile, keyBlock } = choice;
  const { B, H, L, S } = shape;
  const found = expression === null ? undefined : periodicity(expression);
  // row and position must have one residue, and the mask be the same in every class
  const periodic = found !== undefined && (S - L) % found.period === 0 && !found.usesClass ? found : undefined;
  const period = periodic?.period ?? 1;
  const mask = periodic?.expression ?? expression;
  const classify = (rows: number, columns: number): TileMap =>
    classifyTiles(mask, { B, H, L: rows, S: columns, queryTile, keyTile: keyBlock, queryOffset: (S - L) / period });
  const tiles = classify(Math.ceil(L / period), Math.ceil(S / period));
  // L mod period classes have the longer length
  const longer = L % period === 0 ? period : L % period;
  const parts: [TileMap, number][] = [[tiles, longer]];
  const [rows, columns] = [Math.floor(L / period), Math.floor(S / period)];
  if (longer < period && rows > 0 && columns > 0) parts.push([classify(rows, columns), period - longer]);
  const total = (of: (map: TileMap) => number): number => parts.reduce((sum, [map, times]) => sum + times * of(map), 0);
  const visited = {
    pairs: total(({ pairs }) => pairs.full + pairs.partial),
    tiles: {
      empty: total(({ counts }) => counts.empty),
      full: total(({ counts }) => counts.full),
      partial: total(({ counts }) => counts.partial),
    },
  };
  return { period, mask, choice, tiles, visited };
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

/** A split must save this share of the pairs to be worth another pass over the queries. */
const worthwhile = 0.8;

const plans = new Remembered<readonly AttendPlan[]>(64);

/**
 * One plan, or several over disjoint sets of pairs, each of which adds to the results of those before. The same object for
 * equal inputs.
 */
export function planAttend(
  shape: AttendShape,
  mask: Expression | null,
  score: Expression | undefined,
  options: PlanOptions,
): readonly AttendPlan[] {
  const { D, E, dropout, positions } = options;
  const name = [...Object.values(shape), D, E, dropout, ...(positions ? Object.values(positions) : [])].join();
  return plans.get(score, mask, name, () => planParts(shape, mask, score, options));
}

function planParts(
  shape: AttendShape,
  mask: Expression | null,
  score: Expression | undefined,
  options: PlanOptions,
): readonly AttendPlan[] {
  const { dropout } = options;
  if (mask === null) return [planWhole(shape, mask, score, options)];
  const shapeOf = ({ gathered }: MaskPart): AttendShape => (gathered ? { ...shape, S: gathered.keys.length } : shape);
  // the coarsest tiles tell enough: what is not chosen need not be cut finely
  const coarse = { queryTile: queryTiles[0].queryTile, keyBlock: defaultKeyBlock };
  const visited = (part: MaskPart): number => planWithTiles(part.mask, shapeOf(part), coarse).visited.pairs;
  // dropout goes by places, which gathering changes
  const parts = splitMask(mask, { S: shape.S, keyBlock: defaultKeyBlock, gather: !dropout });
  const cost = parts.reduce((sum, part) => sum + visited(part), 0);
  const chosen = cost < worthwhile * visited({ mask }) ? parts : [{ mask }];
  return chosen.map((part) => {
    const { gathered } = part;
    const change = score && gathered ? gathered.place(score) : score;
    if (gathered === undefined) return planWhole(shape, part.mask, change, options);
    // places in a list have a range of their own
    const { positions: _, ...inList } = options;
    return { ...planWhole(shapeOf(part), part.mask, change, inList), keys: gathered.keys };
  });
}

/** One plan for all pairs of a mask. */
export function planWhole(
  shape: AttendShape,
  maskExpression: Expression | null,
  scoreExpression: Expression | undefined,
  options: PlanOptions,
): AttendPlan {
  const { period, mask: inClass, choice, tiles, visited } = planMask(maskExpression, shape);
  // where no tile is partial, the mask is never evaluated
  const evaluated = tiles.counts.partial > 0 ? inClass : null;
  const program = programOf(scoreExpression, evaluated ?? undefined, { ...options, period, ...choice }, shape);
  return { ...program, tiles, visited };
}

type Program = Pick<AttendPlan, 'spec' | 'constants'>;

const programs = new Remembered<Program>(64);

/** The same object for the same expressions and sizes, so that what devices compiled for it is found by identity. */
function programOf(
  score: Expression | undefined,
  mask: Expression | undefined,
  options: PlanOptions & TileChoice & { readonly period: number },
  shape: AttendShape,
): Program {
  const { D, E, dropout, period, queryTile, keyBlock, positions = shape } = options;
  // without expressions, sizes of the sequence change nothing
  const places = score === undefined && mask === undefined ? [] : Object.values(positions);
  const name = [D, E, dropout, period, queryTile, keyBlock, ...places].join();
  return programs.get(score, mask, name, () =>
    makeProgram(score, mask, { D, E, dropout, period, queryTile, keyBlock }, positions),
  );
}

function makeProgram(
  scoreExpression: Expression | undefined,
  mask: Expression | undefined,
  sizes: Pick<AttendSpec, 'D' | 'E' | 'dropout' | 'period' | 'queryTile' | 'keyBlock'>,
  positions: AttendShape,
): Program {
  const parts = new Lifter();
  const lifted = {
    score: parts.lift(scoreExpression),
    slope: parts.lift(slopeOf(scoreExpression)),
    mask: parts.lift(mask),
  };
  const expressions = Object.values(lifted).filter((e) => e !== undefined);
  return {
    spec: {
      ...sizes,
      ...lifted,
      hides: scoreExpression !== undefined && hides(scoreExpression),
      constantTypes: parts.constants.map(({ type }) => type),
      tables: [...new Set(expressions.flatMap((e) => tablesOf(e)))],
      checked: checkedReads(expressions, positions, parts.values),
    },
    constants: parts.constants,
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
function checkedReads(
  expressions: readonly Expression[],
  shape: AttendShape,
  values: readonly number[],
): ReadonlySet<Expression> {
  const box = ranges(shape);
  const reads = expressions.flatMap((e) => topological(e)).filter((e) => e.table !== undefined);
  return new Set(reads.filter((read) => !provablyInRange(read, box, values)));
}
