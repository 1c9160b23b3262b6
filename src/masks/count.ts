import {
  boundLanes,
  compile,
  constant,
  freeVariables,
  simplify,
  substitute,
  type Expression,
} from '../codegen/expression/index.js';
import { Mask } from './mask.js';
import { checkBool, checkPlace, type AttendShape } from './place.js';
import { axisRuns } from './axis.js';
import { needsBoxes, maskTree, scansRows, Sources, type MaskTree } from './mask-tree.js';
import { EMPTY, FULL, type Runs } from './runs.js';
import { keyTiles, queryTiles, type Geometry } from './sources.js';
import { headClasses } from './tiles.js';

const tile = 64;

/**
 * The exact number of allowed pairs over all B·H heads: what a perfect kernel would visit. Masks of q − k alone are
 * counted in closed form, others by runs of keys for 64 queries and then for each; rules that need boxes evaluate the pairs of
 * their partial tiles.
 */
export function countPairs(mask: Mask | Expression | null, shape: AttendShape): number {
  checkPlace('countPairs', shape);
  const { B, H, L, S } = shape;
  const expression = mask instanceof Mask ? mask.expression(shape) : mask;
  if (expression !== null) checkBool('countPairs', expression);
  if (expression === null) return B * H * L * S;
  const tree = maskTree(expression);
  const alongDiagonals = tree.kind === 'part' && [...freeVariables(tree.expression)].every((name) => name === 'd');
  if (alongDiagonals) return B * H * countDifferences(tree.expression, L, S);
  return countRows(expression, tree, shape);
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

function countRows(expression: Expression, tree: MaskTree, shape: AttendShape): number {
  const { B, H, L, S } = shape;
  // a column of tiles is one key, so that stretches of keys are decided for 64 queries at once; boxes are too many for that
  const boxes = needsBoxes(tree);
  const geometry = { L, S, queryTile: tile, keyTile: boxes ? tile : 1, queryOffset: S - L };
  const sources = new Sources(geometry);
  const singleRows = boxes ? undefined : new Sources({ ...geometry, queryTile: 1 });
  const columns = keyTiles(geometry);
  const classes = headClasses(expression, shape);
  let total = 0;
  for (const { b, h } of classes) {
    const countPairsOf = pairCounter(
      simplify(substitute(expression, { b: constant(b, 'i32'), h: constant(h, 'i32') })),
    );
    const rows = sources.of(tree, b, h);
    const queries = singleRows?.of(tree, b, h);
    for (let row = 0; row < queryTiles(geometry); row++) {
      const [first, last] = [row * tile, Math.min(L, (row + 1) * tile)];
      const open: Stretch[] = [];
      total += (last - first) * split(rows.row(row, 0, columns), geometry, open);
      const openKeys = open.reduce((keys, { start, end }) => keys + end - start, 0);
      if (openKeys === 0) continue;
      // the runs of one query after the other, or all pairs at once
      if (queries === undefined || (scansRows(tree) && openKeys < S / 16)) {
        for (const stretch of open) total += countPairsOf(first + S - L, last + S - L, stretch);
      } else {
        for (let query = first; query < last; query++) {
          const runs = queries.row(query, open[0]!.start, open.at(-1)!.end);
          const at = query + S - L;
          for (const stretch of open) total += within(runs, stretch, (part) => countPairsOf(at, at + 1, part));
        }
      }
    }
  }
  return (total / classes.length) * B * H;
}

/** Keys of a half-open range. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** The keys of full tiles, counted; those of partial ones are added to `open`. */
function split(runs: Runs, { S, keyTile }: Geometry, open: Stretch[]): number {
  let full = 0;
  for (let i = 0, start = 0; i < runs.count; i++) {
    const end = Math.min(S, runs.ends[i]! * keyTile);
    if (runs.kinds[i] === FULL) full += end - start;
    else if (runs.kinds[i] !== EMPTY) open.push({ start, end });
    start = end;
  }
  return full;
}

/** Allowed keys of a stretch, from the runs of single keys of one query; `undecided` counts those f32 rounding leaves open. */
function within(runs: Runs, { start, end }: Stretch, undecided: (part: Stretch) => number): number {
  let allowed = 0;
  let from = start;
  for (let i = runs.find(start); i < runs.count && from < end; i++) {
    const to = Math.min(end, runs.ends[i]!);
    if (runs.kinds[i] === FULL) allowed += to - from;
    else if (runs.kinds[i] !== EMPTY) allowed += undecided({ start: from, end: to });
    from = to;
  }
  return allowed;
}

/** Allowed pairs of the queries at positions firstQ…endQ−1 with a stretch of keys, by evaluating each. */
type PairCounter = (firstQ: number, endQ: number, keys: Stretch) => number;

// pairs evaluated in one go
const batch = 8192;

function pairCounter(expression: Expression): PairCounter {
  const exact = compile(expression, ['q', 'k']);
  const [q, k] = [new Float64Array(batch), new Float64Array(batch)];
  const evaluate = (count: number): number => {
    const [queries, keys] = [q.subarray(0, count), k.subarray(0, count)];
    const { lo, hi } = boundLanes(expression, { q: { lo: queries, hi: queries }, k: { lo: keys, hi: keys } });
    const stride = lo.length === 1 ? 0 : 1;
    let allowed = 0;
    for (let i = 0; i < count; i++) {
      // f32 rounding leaves some comparisons open
      allowed += lo[i * stride] === hi[i * stride] ? lo[i * stride]! : exact(q[i]!, k[i]!);
    }
    return allowed;
  };
  return (firstQ, endQ, { start, end }) => {
    let [allowed, count] = [0, 0];
    for (let query = firstQ; query < endQ; query++) {
      for (let key = start; key < end; key++) {
        q[count] = query;
        k[count++] = key;
        if (count === batch) {
          allowed += evaluate(count);
          count = 0;
        }
      }
    }
    return count === 0 ? allowed : allowed + evaluate(count);
  };
}
