import { OptionError, ShapeError } from '../core/errors.js';
import { freeVariables, type Expression } from '../codegen/expression/index.js';
import { planMask, Sources } from './plan.js';
import { EMPTY, FULL, PARTIAL, type Runs } from './runs.js';
import { constantSource, keyTiles, queryTiles, type Geometry, type Source } from './sources.js';

export { EMPTY, FULL, PARTIAL };

export interface TileOptions extends Geometry {
  readonly B: number;
  readonly H: number;
}

/**
 * Which tiles of the score matrix hold allowed pairs. FULL: every pair is allowed; PARTIAL: the mask must be evaluated;
 * tiles with none are left out.
 *
 * Row r of class c has the runs `rowOffsets[c·rows + r] … rowOffsets[c·rows + r + 1]`, each three numbers of
 * `runs`: first column, end column, kind. Columns are key tiles and rows query tiles, or the other way round
 * after `transpose`.
 */
export interface TileMap {
  readonly rows: number;
  readonly columns: number;
  /** Heads share a class unless the mask tells them apart; see `tileClass`. */
  readonly classes: { readonly perBatch: boolean; readonly perHead: boolean; readonly count: number };
  readonly rowOffsets: Int32Array;
  readonly runs: Int32Array;
  /** Tiles over all B·H heads. */
  readonly counts: { readonly empty: number; readonly full: number; readonly partial: number };
  /** Query–key pairs in full and in partial tiles, over all B·H heads: their sum is what a kernel visits. */
  readonly pairs: { readonly full: number; readonly partial: number };
}

/** The class of a head of a batch. */
export function tileClass(map: TileMap, H: number, b: number, h: number): number {
  const { perBatch, perHead } = map.classes;
  return perBatch ? (perHead ? b * H + h : b) : perHead ? h : 0;
}

/**
 * Classifies the tiles of a mask expression (null: no mask) without evaluating it pair by pair.
 *
 * Parts that depend on one of q, k and q − k are worked out along that axis, comparisons of a query's value with a
 * key's from the values in each tile, both exactly; what is left by interval bounds of growing precision. `and`, `or`
 * and `not` then combine runs of tiles. FULL and EMPTY are always true; a PARTIAL tile of a composed mask may turn out uniform.
 *
 * @throws OptionError for tile sizes, or an expression, that are none; ShapeError for empty sequences.
 */
export function classifyTiles(expression: Expression | null, options: TileOptions): TileMap {
  const { perBatch, perHead } = checkedClasses(expression, options);
  const count = (perBatch ? options.B : 1) * (perHead ? options.H : 1);
  const [rows, columns] = [queryTiles(options), keyTiles(options)];
  const rowOffsets = new Int32Array(count * rows + 1);
  const out = new RunList();
  // heads that share one class
  const copies = (options.B * options.H) / count;
  const tiles = { full: 0, partial: 0 };
  const pairs = { full: 0, partial: 0 };
  forEachRow(expression, options, (index, row, runs) => {
    const queries = Math.min(options.L, (row + 1) * options.queryTile) - row * options.queryTile;
    // what the last column lacks to a whole tile
    const missing = columns * options.keyTile - options.S;
    const first = out.count;
    let [full, partial] = [0, 0];
    out.append(runs);
    for (let run = first; run < out.count; run++) {
      const length = out.data[3 * run + 1]! - out.data[3 * run]!;
      if (out.data[3 * run + 2] === FULL) full += length;
      else partial += length;
    }
    tiles.full += copies * full;
    tiles.partial += copies * partial;
    pairs.full += copies * queries * (full * options.keyTile - (runs.last === FULL ? missing : 0));
    pairs.partial += copies * queries * (partial * options.keyTile - (runs.last === PARTIAL ? missing : 0));
    rowOffsets[index * rows + row + 1] = out.count;
  });
  const empty = options.B * options.H * rows * columns - tiles.full - tiles.partial;
  return {
    rows,
    columns,
    classes: { perBatch, perHead, count },
    rowOffsets,
    runs: out.finish(),
    counts: { empty, ...tiles },
    pairs,
  };
}

/** Calls `visit` for every row of tiles of every class, in order. `runs` is valid during the call. */
export function forEachRow(
  expression: Expression | null,
  options: TileOptions,
  visit: (classIndex: number, row: number, runs: Runs) => void,
): void {
  const { perBatch, perHead } = checkedClasses(expression, options);
  const plan = expression === null ? undefined : planMask(expression);
  const sources = new Sources(options);
  const rows = queryTiles(options);
  let index = 0;
  for (let b = 0; b < (perBatch ? options.B : 1); b++) {
    for (let h = 0; h < (perHead ? options.H : 1); h++) {
      const source: Source = plan === undefined ? constantSource(options, FULL) : sources.of(plan, b, h);
      for (let row = 0; row < rows; row++) visit(index, row, source.row(row));
      index++;
    }
  }
}

function checkedClasses(expression: Expression | null, options: TileOptions): { perBatch: boolean; perHead: boolean } {
  const { B, H, L, S, queryTile, keyTile, queryOffset } = options;
  const shape = `B=${B}, H=${H}, L=${L}, S=${S}`;
  if (![B, H, L, S].every((extent) => Number.isInteger(extent) && extent > 0)) {
    throw new ShapeError(`classifyTiles: B, H, L and S must be integers ≥ 1; got ${shape}.`);
  }
  if (![queryTile, keyTile].every((size) => Number.isInteger(size) && size > 0) || !Number.isInteger(queryOffset)) {
    const got = `queryTile ${queryTile}, keyTile ${keyTile}, queryOffset ${queryOffset}`;
    throw new OptionError(`classifyTiles: tile sizes must be integers ≥ 1 and queryOffset an integer; got ${got}.`);
  }
  const names: ReadonlySet<string> = expression === null ? new Set() : freeVariables(expression);
  const unknown = [...names].filter((name) => !['b', 'h', 'q', 'k'].includes(name));
  if (expression !== null && (expression.type !== 'bool' || unknown.length > 0)) {
    const got = unknown.length > 0 ? `variable ${unknown.join(', ')}` : `type ${expression.type}`;
    throw new OptionError(`classifyTiles: takes a boolean expression of b, h, q and k; got ${got}.`);
  }
  return { perBatch: names.has('b'), perHead: names.has('h') };
}

/** The same map by columns: for each key tile the runs of query tiles that see it, as the key side of backward needs. */
export function transpose(map: TileMap): TileMap {
  const { rows, columns, classes, rowOffsets, runs } = map;
  const turned = new Turned(classes.count * columns);
  const openKind = new Uint8Array(columns);
  const openStart = new Int32Array(columns);
  // the end and kind of the run of row r that holds or follows a column; `from` is passed on, and columns come in order
  for (let c = 0; c < classes.count; c++) {
    let [above, aboveEnd] = [0, 0];
    for (let row = 0; row <= rows; row++) {
      const start = row < rows ? rowOffsets[c * rows + row]! : 0;
      const stop = row < rows ? rowOffsets[c * rows + row + 1]! : 0;
      let [i, j] = [above, start];
      for (let column = 0; column < columns; ) {
        while (i < aboveEnd && runs[3 * i + 1]! <= column) i++;
        while (j < stop && runs[3 * j + 1]! <= column) j++;
        const [before, beforeEnd] = stretch(runs, i, aboveEnd, column, columns);
        const [now, nowEnd] = stretch(runs, j, stop, column, columns);
        const end = Math.min(beforeEnd, nowEnd);
        if (before !== now) {
          for (let at = column; at < end; at++) {
            if (before !== EMPTY) turned.add(c * columns + at, openStart[at]!, row, openKind[at]!);
            openKind[at] = now;
            openStart[at] = row;
          }
        }
        column = end;
      }
      [above, aboveEnd] = [start, stop];
    }
  }
  return { ...map, rows: columns, columns: rows, ...turned.sorted() };
}

/** A growing list of triples. */
class RunList {
  count = 0;
  #data = new Int32Array(3 * 256);

  push(start: number, end: number, kind: number): void {
    const at = 3 * this.count++;
    if (at === this.#data.length) {
      const larger = new Int32Array(2 * this.#data.length);
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data[at] = start;
    this.#data[at + 1] = end;
    this.#data[at + 2] = kind;
  }

  finish(): Int32Array {
    return this.#data.slice(0, 3 * this.count);
  }
}

/** The same map by columns: for each key tile the runs of query tiles that see it, as the key side of backward needs. */
export function transpose(map: TileMap): TileMap {
  const { rows, columns, classes, rowOffsets, runs } = map;
  // runs in the order they end, and the column of each
  const ended = new RunList();
  const owner: number[] = [];
  const perColumn = new Int32Array(classes.count * columns + 1);
  const openKind = new Uint8Array(columns);
  const openStart = new Int32Array(columns);
  for (let c = 0; c < classes.count; c++) {
    const close = (column: number, row: number): void => {
      if (openKind[column] === EMPTY) return;
      ended.push(openStart[column]!, row, openKind[column]!);
      owner.push(c * columns + column);
      perColumn[c * columns + column + 1]!++;
    };
    for (let row = 0; row <= rows; row++) {
      const [from, to] = row < rows ? [rowOffsets[c * rows + row]!, rowOffsets[c * rows + row + 1]!] : [0, 0];
      let column = 0;
      const change = (end: number, kind: number): void => {
        for (; column < end; column++) {
          if (openKind[column] === kind) continue;
          close(column, row);
          openKind[column] = kind;
          openStart[column] = row;
        }
      };
      for (let run = from; run < to; run++) {
        change(runs[3 * run]!, EMPTY);
        change(runs[3 * run + 1]!, runs[3 * run + 2]!);
      }
      change(columns, EMPTY);
    }
  }
  for (let i = 0; i < perColumn.length - 1; i++) perColumn[i + 1]! += perColumn[i]!;
  const unsorted = ended.finish();
  const sorted = new Int32Array(unsorted.length);
  const next = perColumn.slice();
  owner.forEach((column, run) => sorted.set(unsorted.subarray(3 * run, 3 * run + 3), 3 * next[column]!++));
  return { ...map, rows: columns, columns: rows, rowOffsets: perColumn, runs: sorted };
}
