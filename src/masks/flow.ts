import { constant, print, simplify, substitute, type Expression } from '../codegen/expression/index.js';
import { maskTree, Sources } from './mask-tree.js';
import { FULL } from './runs.js';
import { headClasses } from './tiles.js';

/** Rows of heads that are looked at in one layer, and their stretches in all layers: what a row costs grows with these. */
const rowsOfLayer = 2 ** 12;
const stretchesOfAll = 2 ** 17;
/** Heads that are looked at, evenly spread, where each sees other keys. */
const mostHeads = 16;
/** Of a step: each layer looks at rows between those of the layers before. */
const golden = (Math.sqrt(5) - 1) / 2;

export interface FlowOptions {
  readonly H: number;
  /** Queries and keys. */
  readonly S: number;
  /** The query whose information is followed. */
  readonly row: number;
  readonly layers: number;
}

export interface Flow {
  /**
   * Keys that the row's result depends on after 1, 2, … layers, its own included. The list ends with the layer after which nothing more
   * is reached, or where enough was looked at.
   */
  readonly reached: readonly number[];
  /** Layers of `reached` in which every row was looked at: later numbers are lower bounds. */
  readonly exact: number;
  /** Nothing more is reached, however many layers follow. */
  readonly ended: boolean;
  /** Rows of heads that were looked at. */
  readonly rows: number;
}

/**
 * How far information comes to one query through layers of a mask: what a row sees, what those rows see, and so on, over all heads of
 * one batch row. Where a layer has more rows than are looked at, these are the ends of its stretches and some between them.
 */
export function flow(expression: Expression, { H, S, row, layers }: FlowOptions): Flow {
  const sources = new Sources({ L: S, S, queryTile: 1, keyTile: 1, queryOffset: 0 }, true);
  const [different, allHeads] = differentHeads(expression, H);
  const heads = different.map((one) => sources.of(maskTree(one), 0, 0));
  const unseen = new Unseen(S);
  // a residual stream keeps what a row has, whether or not the mask shows it itself
  let waiting = unseen.take(row, row + 1);
  const reached: number[] = [];
  const looked = new Set<number>();
  let [rows, stretches, exact, whole] = [0, 0, 0, allHeads];
  while (reached.length < layers && stretches < stretchesOfAll) {
    const [chosen, left] = some(waiting, Math.ceil(rowsOfLayer / heads.length), (reached.length * golden) % 1);
    const found: Stretch[] = [];
    for (const query of chosen) {
      if (looked.has(query)) continue;
      looked.add(query);
      for (const head of heads) {
        rows++;
        const runs = head.row(query, 0, S);
        stretches += runs.count;
        for (let i = 0, start = 0; i < runs.count; start = runs.ends[i++]!) {
          if (runs.kinds[i] === FULL) found.push(...unseen.take(start, runs.ends[i]!));
        }
      }
    }
    whole &&= left.length === 0;
    if (reached.length > 0 && found.length === 0 && whole) return { reached, exact, ended: true, rows };
    reached.push(S - unseen.count);
    if (whole) exact++;
    if (unseen.count === 0) return { reached, exact, ended: true, rows };
    waiting = [...left, ...found];
  }
  return { reached, exact, ended: false, rows };
}

/** The mask in heads that differ, of many some that are evenly spread; and whether these are all. */
function differentHeads(expression: Expression, H: number): [heads: readonly Expression[], all: boolean] {
  const classes = headClasses(expression, { B: 1, H });
  const step = Math.max(1, classes.length / mostHeads);
  const all = new Map<string, Expression>();
  for (let i = 0; Math.floor(i) < classes.length && all.size < mostHeads; i += step) {
    const h = constant(classes[Math.floor(i)]!.h, 'i32');
    const one = simplify(substitute(expression, { b: constant(0, 'i32'), h }));
    all.set(print(one), one);
  }
  return [[...all.values()], step === 1];
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** Keys that were not reached yet; those that were are passed over in steps that grow. */
class Unseen {
  readonly #next: Int32Array;
  count: number;

  constructor(S: number) {
    this.#next = Int32Array.from({ length: S + 1 }, (_, key) => key);
    this.count = S;
  }

  /** Takes what is left of a range out, and tells what that was. */
  take(start: number, end: number): Stretch[] {
    const taken: Stretch[] = [];
    for (let key = this.#find(start); key < end;) {
      const from = key;
      for (; key < end && this.#next[key] === key; key++) this.#next[key] = key + 1;
      this.count -= key - from;
      taken.push({ start: from, end: key });
      key = this.#find(key);
    }
    return taken;
  }

  #find(key: number): number {
    let last = key;
    while (this.#next[last] !== last) last = this.#next[last]!;
    for (let at = key; at !== last;) {
      const next = this.#next[at]!;
      this.#next[at] = last;
      at = next;
    }
    return last;
  }
}

/**
 * At most so many rows of some stretches, and those of which more are left: ends, and rows at equal steps from `phase` of a step on.
 */
function some(
  stretches: readonly Stretch[],
  most: number,
  phase: number,
): [rows: readonly number[], left: readonly Stretch[]] {
  const total = stretches.reduce((sum, { start, end }) => sum + end - start, 0);
  if (total <= most) return [stretches.flatMap(range), []];
  const rows = new Set<number>();
  const step = Math.max(1, (4 * stretches.length) / most);
  for (let i = phase * step; Math.floor(i) < stretches.length; i += step) {
    rows.add(stretches[Math.floor(i)]!.start);
    rows.add(stretches[Math.floor(i)]!.end - 1);
  }
  let [before, place] = [0, (phase * 2 * total) / most];
  for (const { start, end } of stretches) {
    for (; place < before + end - start; place += (2 * total) / most) rows.add(start + Math.floor(place) - before);
    before += end - start;
  }
  return [[...rows], stretches];
}

const range = ({ start, end }: Stretch): number[] => Array.from({ length: end - start }, (_, i) => start + i);
