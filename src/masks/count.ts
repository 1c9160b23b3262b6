import {
  boundLanes,
  compile,
  constant,
  freeVariables,
  simplify,
  substitute,
  type Expression,
} from '../codegen/expression/index.js';
import type { Mask } from './mask.js';
import type { AttendShape } from './place.js';
import { axisRuns } from './axis.js';
import { needsBoxes, planMask } from './plan.js';
import { EMPTY, FULL } from './runs.js';
import { forEachRow } from './tiles.js';

// tile side for rules that only bounds of boxes can classify
const boxTile = 64;

/**
 * The exact number of allowed pairs over all B·H heads: what a perfect kernel would visit. Masks of q − k alone are
 * counted in closed form, others by the runs of each row; only rules that need boxes evaluate pairs, those of partial tiles.
 */
export function countPairs(mask: Mask | Expression | null, shape: AttendShape): number {
  const { B, H, L, S } = shape;
  const expression = mask === null || 'op' in mask ? mask : mask.expression(shape);
  if (expression === null) return B * H * L * S;
  const plan = planMask(expression);
  const alongDiagonals = plan.kind === 'part' && [...freeVariables(plan.expression)].every((name) => name === 'd');
  if (alongDiagonals) return B * H * countDifferences(plan.expression, L, S);
  return countRows(expression, shape, needsBoxes(plan) ? boxTile : 1);
}

/** For each run of allowed differences, the pairs of the trapezium it cuts out of the matrix. */
function countDifferences(expression: Expression, L: number, S: number): number {
  const truth = axisRuns(expression, 'd', 1 - L, S - 1);
  const holds = compile(expression, ['d']);
  let total = 0;
  let low = 1 - L;
  for (let run = 0; run < truth.count; run++) {
    const end = 1 - L + truth.ends[run]!;
    if (truth.kinds[run] === FULL) total += pairsUpTo(end - 1, L, S) - pairsUpTo(low - 1, L, S);
    else if (truth.kinds[run] !== EMPTY) {
      for (let d = low; d < end; d++) total += holds(d) * (pairsUpTo(d, L, S) - pairsUpTo(d - 1, L, S));
    }
    low = end;
  }
  return total;
}

/** Pairs with q − k ≤ d: S for each of the first rows, then one fewer for each further row. */
function pairsUpTo(d: number, L: number, S: number): number {
  const shift = d - (S - L);
  const whole = Math.min(L, Math.max(0, shift + 1));
  const falling = Math.max(0, Math.min(L, shift + S) - whole);
  const first = S - (whole - shift);
  return whole * S + (falling * (2 * first - falling + 1)) / 2;
}

function countRows(expression: Expression, shape: AttendShape, tile: number): number {
  const { B, H, L, S } = shape;
  const names = freeVariables(expression);
  const [perBatch, perHead] = [names.has('b'), names.has('h')];
  const copies = (perBatch ? 1 : B) * (perHead ? 1 : H);
  let total = 0;
  let known = -1;
  let inTile: PairCounter = () => 0;
  forEachRow(expression, { ...shape, queryTile: tile, keyTile: tile, queryOffset: S - L }, (index, row, runs) => {
    if (index !== known) {
      const b = perBatch ? (perHead ? Math.floor(index / H) : index) : 0;
      const h = perHead ? index % H : 0;
      inTile = pairCounter(simplify(substitute(expression, { b: constant(b, 'i32'), h: constant(h, 'i32') })));
      known = index;
    }
    const [first, last] = [row * tile, Math.min(L, (row + 1) * tile)];
    for (let i = 0, start = 0; i < runs.count; start = runs.ends[i++]! * tile) {
      const end = Math.min(S, runs.ends[i]! * tile);
      if (runs.kinds[i] === FULL) total += copies * (last - first) * (end - start);
      else if (runs.kinds[i] !== EMPTY) {
        for (let query = first; query < last; query++) total += copies * inTile(query + S - L, start, end);
      }
    }
  });
  return total;
}

/** Allowed keys among start…end−1 of the query at position q. */
type PairCounter = (q: number, start: number, end: number) => number;

function pairCounter(expression: Expression): PairCounter {
  const exact = compile(expression, ['q', 'k']);
  return (q, start, end) => {
    const keys = Float64Array.from({ length: end - start }, (_, i) => start + i);
    const query = Float64Array.of(q);
    const { lo, hi } = boundLanes(expression, { q: { lo: query, hi: query }, k: { lo: keys, hi: keys } });
    let allowed = 0;
    for (let i = 0; i < keys.length; i++) {
      const [low, high] = [lo[Math.min(i, lo.length - 1)]!, hi[Math.min(i, hi.length - 1)]!];
      // f32 rounding leaves some comparisons open
      allowed += low === high ? low : exact(q, keys[i]!);
    }
    return allowed;
  };
}
