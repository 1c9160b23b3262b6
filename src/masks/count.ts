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
import { needsBoxes, planMask, Sources, type Plan } from './plan.js';
import { EMPTY, FULL, type Runs } from './runs.js';
import { queryTiles } from './sources.js';
import { headClasses } from './tiles.js';

const tile = 64;

/**
 * The exact number of allowed pairs over all B·H heads: what a perfect kernel would visit. Masks of q − k alone are
 * counted in closed form, others by the runs of each row; pairs are evaluated where few remain open, and in the partial tiles of
 * rules that need boxes.
 */
export function countPairs(mask: Mask | Expression | null, shape: AttendShape): number {
  const { B, H, L, S } = shape;
  const expression = mask === null || 'op' in mask ? mask : mask.expression(shape);
  if (expression === null) return B * H * L * S;
  const plan = planMask(expression);
  const alongDiagonals = plan.kind === 'part' && [...freeVariables(plan.expression)].every((name) => name === 'd');
  if (alongDiagonals) return B * H * countDifferences(plan.expression, L, S);
  return countRows(expression, plan, shape);
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

function countRows(expression: Expression, plan: Plan, shape: AttendShape): number {
  const { B, H, L, S } = shape;
  // without boxes a column of tiles is one key, so that whole stretches of keys are decided for a tile of queries at once
  const boxes = needsBoxes(plan);
  const geometry = { L, S, queryTile: tile, keyTile: boxes ? tile : 1, queryOffset: S - L };
  const [sources, single] = [new Sources(geometry), new Sources({ ...geometry, queryTile: 1 })];
  const classes = headClasses(expression, shape);
  let total = 0;
  for (const { b, h } of classes) {
    const count = pairCounter(simplify(substitute(expression, { b: constant(b, 'i32'), h: constant(h, 'i32') })));
    const rows = sources.of(plan, b, h);
    for (let row = 0; row < queryTiles(geometry); row++) {
      const [first, last] = [row * tile, Math.min(L, (row + 1) * tile)];
      const runs = rows.row(row);
      const open: Stretch[] = [];
      let openKeys = 0;
      for (let i = 0, start = 0; i < runs.count; i++) {
        const end = Math.min(S, runs.ends[i]! * geometry.keyTile);
        if (runs.kinds[i] === FULL) total += (last - first) * (end - start);
        else if (runs.kinds[i] !== EMPTY) {
          open.push({ start, end });
          openKeys += end - start;
        }
        start = end;
      }
      // many open keys are cheaper by the runs of each query, few by evaluating their pairs
      const byRuns = !boxes && openKeys > 4 * tile ? single.of(plan, b, h) : undefined;
      for (let query = first; query < last && open.length > 0; query++) {
        const own = byRuns?.row(query);
        for (const stretch of open)
          total += own === undefined ? count(query + S - L, stretch) : within(own, stretch, query + S - L, count);
      }
    }
  }
  return (total / classes.length) * B * H;
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** Allowed keys of a stretch, from the runs of single keys of one query. */
function within(runs: Runs, { start, end }: Stretch, q: number, count: PairCounter): number {
  let allowed = 0;
  let from = start;
  for (let i = runs.find(start); i < runs.count && from < end; i++) {
    const to = Math.min(end, runs.ends[i]!);
    if (runs.kinds[i] === FULL) allowed += to - from;
    else if (runs.kinds[i] !== EMPTY) allowed += count(q, { start: from, end: to });
    from = to;
  }
  return allowed;
}

/** Allowed keys among a stretch, of the query at position q, by evaluating each pair. */
type PairCounter = (q: number, keys: Stretch) => number;

function pairCounter(expression: Expression): PairCounter {
  const exact = compile(expression, ['q', 'k']);
  return (q, { start, end }) => {
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
