import {
  boundLanes,
  freeVariables,
  variable,
  withArgs,
  type Bounds,
  type Expression,
} from '../codegen/expression/index.js';
import { fromKinds, PARTIAL, Runs } from './runs.js';
import { keyTiles, queryTiles, type Geometry, type Source } from './sources.js';

// tiles per side of a box that is tried at once
const side = 16;

/**
 * Any boolean of q, k and d: interval bounds over boxes of 16 × 16 tiles, then over the tiles of the boxes left open. A band
 * of 16 rows is worked out when its first row is asked for.
 */
export function boxSource(expression: Expression, g: Geometry): Source {
  const [rows, columns] = [queryTiles(g), keyTiles(g)];
  const band = new Uint8Array(side * columns);
  const out = new Runs();
  const parts = hoist(expression);
  const [coarse, fine] = [new Grid(parts, g, side), new Grid(parts, g, 1)];
  let known = -1;

  coarse.select(Int32Array.from({ length: Math.ceil(columns / side) }, (_, box) => box));
  const classifyBand = (index: number): void => {
    const open: number[] = [];
    coarse.kinds(index).forEach((kind, box) => {
      const end = Math.min(columns, (box + 1) * side);
      if (kind === PARTIAL) for (let column = box * side; column < end; column++) open.push(column);
      else for (let row = 0; row < side; row++) band.fill(kind, row * columns + box * side, row * columns + end);
    });
    if (open.length === 0) return;
    fine.select(Int32Array.from(open));
    for (let row = 0; row < side && index * side + row < rows; row++) {
      const kinds = fine.kinds(index * side + row);
      for (let i = 0; i < open.length; i++) band[row * columns + open[i]!] = kinds[i]!;
    }
  };
  return {
    row(tile) {
      const index = Math.floor(tile / side);
      if (index !== known) classifyBand(index);
      known = index;
      const start = (tile % side) * columns;
      return fromKinds(band.subarray(start, start + columns), out);
    },
  };
}

/** An expression whose parts of q alone and of k alone are variables, to be bounded once per row and per column. */
interface Hoisted {
  readonly expression: Expression;
  readonly q: readonly Part[];
  readonly k: readonly Part[];
}
interface Part {
  readonly name: string;
  readonly expression: Expression;
}

function hoist(expression: Expression): Hoisted {
  const parts = { q: [] as Part[], k: [] as Part[] };
  const done = new Map<Expression, Expression>();
  const visit = (e: Expression): Expression => {
    const known = done.get(e);
    if (known !== undefined) return known;
    const names = freeVariables(e);
    const axis = names.size === 1 ? (names.has('q') ? 'q' : names.has('k') ? 'k' : undefined) : undefined;
    let result: Expression;
    if (axis === undefined) result = withArgs(e, e.args.map(visit));
    else {
      const name = `${axis}${parts[axis].length}`;
      parts[axis].push({ name, expression: e });
      result = variable(name, e.type);
    }
    done.set(e, result);
    return result;
  };
  return { expression: visit(expression), ...parts };
}

/** The tile matrix in boxes of `side` × `side` tiles, whose kinds are bounded a row of chosen boxes at a time. */
class Grid {
  readonly #expression: Expression;
  readonly #usesDifference: boolean;
  // bounds of the position and of each part, of all rows and columns of boxes
  readonly #q: Readonly<Record<string, Bounds>>;
  readonly #k: Readonly<Record<string, Bounds>>;
  #columns: Int32Array = new Int32Array(0);
  #chosen: Record<string, Bounds> = {};

  constructor(parts: Hoisted, g: Geometry, side: number) {
    this.#expression = parts.expression;
    this.#usesDifference = freeVariables(parts.expression).has('d');
    this.#q = axisParts('q', parts.q, g.queryOffset, g.L, g.queryTile * side);
    this.#k = axisParts('k', parts.k, 0, g.S, g.keyTile * side);
  }

  /** Chooses columns of boxes for the rows to come. */
  select(columns: Int32Array): void {
    this.#columns = columns;
    const choose = (all: Float64Array): Float64Array => {
      const some = new Float64Array(columns.length);
      for (let i = 0; i < some.length; i++) some[i] = all[columns[i]!]!;
      return some;
    };
    this.#chosen = {};
    for (const [name, { lo, hi }] of Object.entries(this.#k)) {
      const low = choose(lo);
      this.#chosen[name] = { lo: low, hi: hi === lo ? low : choose(hi) };
    }
  }

  /** The kind of each chosen box in a row of boxes. */
  kinds(row: number): Uint8Array {
    const env: Record<string, Bounds> = { ...this.#chosen };
    for (const [name, { lo, hi }] of Object.entries(this.#q)) {
      const low = lo.subarray(row, row + 1);
      env[name] = { lo: low, hi: hi === lo ? low : hi.subarray(row, row + 1) };
    }
    if (this.#usesDifference) env['d'] = difference(env['q']!, env['k']!);
    const { lo, hi } = boundLanes(this.#expression, env);
    const kinds = new Uint8Array(this.#columns.length);
    const stride = lo.length === 1 ? 0 : 1;
    for (let i = 0; i < kinds.length; i++) kinds[i] = lo[i * stride]! + hi[i * stride]!;
    return kinds;
  }
}

/** Bounds of a variable and of parts that read it, over consecutive stretches of `width` positions. */
function axisParts(
  name: string,
  parts: readonly Part[],
  first: number,
  length: number,
  width: number,
): Record<string, Bounds> {
  const count = Math.ceil(length / width);
  const position: Bounds = { lo: new Float64Array(count), hi: new Float64Array(count) };
  for (let i = 0; i < count; i++) {
    position.lo[i] = first + i * width;
    position.hi[i] = first + Math.min(length, (i + 1) * width) - 1;
  }
  const all: Record<string, Bounds> = { [name]: position };
  for (const part of parts) {
    const { lo, hi } = boundLanes(part.expression, { [name]: position });
    // one entry may stand for all
    const spread = (lane: Float64Array): Float64Array =>
      lane.length === count ? lane : new Float64Array(count).fill(lane[0]!);
    const low = spread(lo);
    all[part.name] = { lo: low, hi: hi === lo ? low : spread(hi) };
  }
  return all;
}

/** Bounds of q − k for one q. */
function difference(q: Bounds, k: Bounds): Bounds {
  const [lo, hi] = [new Float64Array(k.lo.length), new Float64Array(k.lo.length)];
  for (let i = 0; i < lo.length; i++) {
    lo[i] = q.lo[0]! - k.hi[i]!;
    hi[i] = q.hi[0]! - k.lo[i]!;
  }
  return { lo, hi };
}
