import { describe, isPlainObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { checkValue, notOptions, wholeFrom } from '../core/requirements.js';
import { freeVariables, type Expression } from '../codegen/expression/index.js';
import { checkBool, checkPlace } from './place.js';
import { maskTree, Sources } from './mask-tree.js';
import { RunList } from './run-list.js';
import { EMPTY, FULL, PARTIAL, type Runs } from './runs.js';
import { constantSource, keyTiles, queryTiles, type Geometry } from './sources.js';

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
 * `runs`: first column, end column, kind. Rows are query tiles and columns key tiles.
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

/** The class of a head of a batch. @throws OptionError for what is not a tile map, or numbers that are not whole. */
export function tileClass(map: TileMap, H: number, b: number, h: number): number {
  const { classes } = Object(map) as Partial<TileMap>;
  if (classes === undefined)
    throw new OptionError(`tileClass: takes what classifyTiles returns; got ${describe(map)}.`);
  for (const [name, value] of Object.entries({ H, b, h })) checkValue('tileClass', name, value, wholeFrom(0));
  const { perBatch, perHead } = classes;
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
  const { length: count } = headClasses(expression, options);
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
function forEachRow(
  expression: Expression | null,
  options: TileOptions,
  visit: (classIndex: number, row: number, runs: Runs) => void,
): void {
  const tree = expression === null ? undefined : maskTree(expression);
  const sources = new Sources(options);
  const [rows, columns] = [queryTiles(options), keyTiles(options)];
  headClasses(expression, options).forEach(({ b, h }, index) => {
    const source = tree === undefined ? constantSource(options, FULL) : sources.of(tree, b, h);
    for (let row = 0; row < rows; row++) visit(index, row, source.row(row, 0, columns));
  });
}

/** The first head of every class: one for all heads unless the mask reads b or h. */
export function headClasses(
  expression: Expression | null,
  { B, H }: { readonly B: number; readonly H: number },
): { b: number; h: number }[] {
  const names: ReadonlySet<string> = expression === null ? new Set() : freeVariables(expression);
  const [batches, heads] = [names.has('b') ? B : 1, names.has('h') ? H : 1];
  return Array.from({ length: batches * heads }, (_, i) => ({ b: Math.floor(i / heads), h: i % heads }));
}

const tileOptions = ['B', 'H', 'L', 'S', 'queryTile', 'keyTile', 'queryOffset'];

function checkedClasses(expression: Expression | null, options: TileOptions): { perBatch: boolean; perHead: boolean } {
  if (!isPlainObject(options)) throw new OptionError(`classifyTiles: ${notOptions(options, tileOptions)}.`);
  const { queryTile, keyTile, queryOffset } = options;
  checkPlace('classifyTiles', { G: options.H, ...options });
  if (![queryTile, keyTile].every((size) => Number.isInteger(size) && size > 0) || !Number.isInteger(queryOffset)) {
    const got = `queryTile ${describe(queryTile)}, keyTile ${describe(keyTile)}, queryOffset ${describe(queryOffset)}`;
    throw new OptionError(
      `classifyTiles: tile sizes must be whole numbers of at least 1, and queryOffset a whole number; got ${got}.`,
    );
  }
  if (expression !== null) checkBool('classifyTiles', expression);
  const names: ReadonlySet<string> = expression === null ? new Set() : freeVariables(expression);
  const unknown = [...names].filter((name) => !['b', 'h', 'q', 'k'].includes(name));
  if (unknown.length > 0) {
    throw new OptionError(
      `classifyTiles: takes a boolean expression of b, h, q and k; got variable ${unknown.join(', ')}.`,
    );
  }
  return { perBatch: names.has('b'), perHead: names.has('h') };
}
