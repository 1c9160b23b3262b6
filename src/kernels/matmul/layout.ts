import { registerTile } from '../tile.js';

/** How a product is cut for vectors of `width` lanes. Nothing here depends on the number of threads. */
export interface MatmulTiles {
  /** Rows and vectors of the accumulator tile. */
  readonly rows: number;
  readonly vectors: number;
  /** Columns of a packed panel of B. */
  readonly panel: number;
  /** Steps of the inner sum between two visits to C. */
  readonly depth: number;
  /** Rows of A a task packs at a time. */
  readonly block: number;
}

export function matmulTiles(width: number): MatmulTiles {
  const { rows, vectors } = registerTile(width);
  return { rows, vectors, panel: vectors * width, depth: 256, block: rows * 12 };
}
