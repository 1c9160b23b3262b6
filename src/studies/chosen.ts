import type { AnyOptions, Gathered, Mechanism } from '../attention/index.js';
import type { Device } from '../devices/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../tensor/index.js';
import type { Problem } from './reference.js';

/** Tokens in the order in which they are gathered, and the group of each place. */
export interface Places {
  readonly order: Int32Array;
  readonly groups: Int32Array;
}

/** What the data decided for one head, as numbers. */
export interface Chosen {
  readonly group: string;
  readonly queries: Places | undefined;
  readonly keys: Places | undefined;
  readonly shared: { readonly keys: Int32Array; readonly are: string } | undefined;
}

/** The largest head the kernels take, so the most cells of keys that one run can tell apart. */
export const MOST_CELLS = 256;

/** Shares of the weight, row by row: of a cell of queries, on average, what it takes of a cell of keys. */
export interface Shares {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/** One head and a mechanism on it: what is chosen, and where the weights go. `problem` has one head. */
export class OneHead {
  constructor(
    readonly device: Device,
    readonly mechanism: Mechanism,
    readonly options: AnyOptions,
    readonly problem: Problem,
  ) {}

  /** Undefined where the mechanism chooses nothing by the data. @throws as its `run`. */
  async chosen(): Promise<Chosen | undefined> {
    const { length } = this.problem;
    const found = scope(() => {
      const [q, k] = this.#rows();
      // the length of every value is 1
      const v = this.#values(new Int32Array(length), 1);
      return this.mechanism.choices(q, k, v, this.options);
    });
    if (found === undefined) return undefined;
    try {
      const { group = 'group', queries, keys, shared } = found;
      return {
        group,
        queries: queries && (await placesOf(queries)),
        keys: keys && (await placesOf(keys)),
        shared: shared && { keys: Int32Array.from(await shared.keys.data()), are: shared.are },
      };
    } finally {
      disposeAll(tensorsOf(found));
    }
  }

  /**
   * Where the weights go, queries and keys in these orders (default that of the text), put together to at most 256 cells: with the cells of
   * the keys as values, a result is the share of each. For mechanisms that are linear in v. Keys that are in no order are left out.
   */
  async shares(queries?: Int32Array, keys?: Int32Array): Promise<Shares> {
    const { length } = this.problem;
    const rowOf = cellsOf(queries, length);
    const columnOf = cellsOf(keys, length);
    const out = scope(() => {
      const [q, k] = this.#rows();
      return this.mechanism.run(q, k, this.#values(columnOf.cell, columnOf.cells), this.options).out;
    });
    const weights = await out.data();
    out.dispose();
    const { cells: rows } = rowOf;
    const { cells: columns } = columnOf;
    const values = new Float64Array(rows * columns);
    const sizes = new Float64Array(rows);
    for (let token = 0; token < length; token++) {
      const row = rowOf.cell[token]!;
      if (row < 0) continue;
      sizes[row]!++;
      for (let c = 0; c < columns; c++) values[row * columns + c]! += weights[token * columns + c]!;
    }
    return { rows, columns, values: values.map((sum, i) => sum / Math.max(1, sizes[Math.floor(i / columns)]!)) };
  }

  /** The weights of one query on all keys, put together to as many stretches of the text. For mechanisms that are linear in v. */
  async weights(query: number, stretches: number): Promise<Float64Array> {
    const { length, headDim } = this.problem;
    const cell = Int32Array.from({ length }, (_, key) => Math.floor((key * stretches) / length));
    const values = new Float64Array(stretches);
    // as many columns as keys have, so that no kernel is made for this
    for (let first = 0; first < stretches; first += headDim) {
      const shown = cell.map((c) => (c >= first && c < first + headDim ? c - first : -1));
      const out = scope(() => {
        const [q, k] = this.#rows();
        return this.mechanism.run(q, k, this.#values(shown, headDim), this.options).out;
      });
      const weights = await out.data();
      out.dispose();
      const columns = Math.min(headDim, stretches - first);
      for (let c = 0; c < columns; c++) values[first + c] = weights[query * headDim + c]!;
    }
    return values;
  }

  #rows(): readonly [q: Tensor, k: Tensor] {
    const { q, k, length, headDim } = this.problem;
    const make = (x: Float32Array): Tensor => tensor(x, [1, 1, length, headDim], { device: this.device });
    return [make(q), make(k)];
  }

  /** 1 in the column of each key's cell. */
  #values(cell: Int32Array, cells: number): Tensor {
    const data = new Float32Array(cell.length * cells);
    cell.forEach((c, key) => c >= 0 && (data[key * cells + c] = 1));
    return tensor(data, [1, 1, cell.length, cells], { device: this.device });
  }
}

/** The cell of each token by its first place in an order, −1 for none. */
function cellsOf(order: Int32Array | undefined, length: number): { readonly cell: Int32Array; readonly cells: number } {
  const places = order?.length ?? length;
  const cells = Math.min(places, MOST_CELLS);
  const cell = new Int32Array(length).fill(-1);
  for (let place = places - 1; place >= 0; place--) {
    const token = order?.[place] ?? place;
    if (token >= 0) cell[token] = Math.floor((place * cells) / places);
  }
  return { cell, cells };
}

async function placesOf({ order, groups }: Gathered): Promise<Places> {
  const tokens = Int32Array.from(await order.data());
  const given = typeof groups === 'number' ? undefined : await groups.data();
  return { order: tokens, groups: tokens.map((_, place) => given?.[place] ?? Math.floor(place / (groups as number))) };
}

const tensorsOf = ({ queries, keys, shared }: ReturnType<Mechanism['choices']> & object): Tensor[] => [
  ...new Set(
    [queries?.order, queries?.groups, keys?.order, keys?.groups, shared?.keys].filter((one) => typeof one === 'object'),
  ),
];
