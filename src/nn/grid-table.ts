import { learned, normalOf } from '../attention/parameters.js';
import { variable } from '../codegen/expression/index.js';
import { concat, embedding, map } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';

/** Rows and columns of a grid of positions, and how wide the rows of their two tables are. */
export interface PositionGrid {
  readonly shape: readonly [rows: number, columns: number];
  readonly widths: readonly [rows: number, columns: number];
}

const row = variable('x0', 'i32');

/**
 * Positions of a grid of s₀ × s₁: row p is `[first[⌊p/s₁⌋] ; second[p mod s₁]]`, of tables `first [s₀, d₀]` and `second [s₁, d₁]`. (Kitaev et al.
 * 2020, "Reformer", arXiv 2001.04451: axial position embeddings.)
 */
export class GridTable extends Module {
  readonly #first: Parameter;
  readonly #second: Parameter;

  constructor(readonly grid: PositionGrid) {
    super();
    const [rows, columns] = [0, 1].map((i) => learned([grid.shape[i]!, grid.widths[i]!], normalOf(0.02)));
    this.#first = this.parameter('first', rows!);
    this.#second = this.parameter('second', columns!);
  }

  /** Rows `[..., d₀ + d₁]` of positions `[...]`, i32. @throws OptionError for a position beyond the grid. */
  forward(positions: Tensor): Tensor {
    const columns = this.grid.shape[1];
    return scope(() =>
      concat(
        [
          embedding(this.#first.value, map(row.floorDiv(columns), positions)),
          embedding(this.#second.value, map(row.mod(columns), positions)),
        ],
        { axis: -1 },
      ),
    );
  }
}

/** What is wrong with a grid for so many positions of so many features. */
export function gridReasons(grid: PositionGrid, length: number, features: number): readonly string[] {
  const pair = (value: unknown): boolean =>
    Array.isArray(value) && value.length === 2 && value.every((one) => Number.isInteger(one) && one >= 1);
  if (!pair(grid.shape) || !pair(grid.widths)) {
    return ['position.grid must be { shape, widths }, two whole numbers of at least 1 each'];
  }
  const [rows, columns] = grid.shape;
  const [a, b] = grid.widths;
  return [
    rows * columns < length && `position.grid has ${rows * columns} positions, and length is ${length}`,
    a + b !== features && `position.grid.widths must add up to ${features}; got ${a} and ${b}`,
  ].filter((reason) => reason !== false);
}
