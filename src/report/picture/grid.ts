/** A picture as rows of shades: 0 nothing, 1 everything. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Row by row. */
  readonly shades: Float64Array;
}

export function grid(rows: number, columns: number, shade: (row: number, column: number) => number): Grid {
  const shades = Float64Array.from({ length: rows * columns }, (_, i) =>
    Math.min(1, Math.max(0, shade(Math.floor(i / columns), i % columns))),
  );
  return { rows, columns, shades };
}

/** A coarser picture of at most `side` cells a side: a cell is the mean of those it covers, but never empty where one is not. */
export function coarser({ rows, columns, shades }: Grid, side: number): Grid {
  const [height, width] = [Math.min(side, rows), Math.min(side, columns)];
  return grid(height, width, (row, column) => {
    const [top, bottom] = [Math.floor((row * rows) / height), Math.floor(((row + 1) * rows) / height)];
    const [left, right] = [Math.floor((column * columns) / width), Math.floor(((column + 1) * columns) / width)];
    let sum = 0;
    for (let r = top; r < bottom; r++) for (let c = left; c < right; c++) sum += shades[r * columns + c]!;
    const cells = (bottom - top) * (right - left);
    const mean = sum / cells;
    return mean > 0 && cells > 1 ? Math.max(0.12, mean) : mean;
  });
}

/** The same picture, its largest shade as dark as can be. */
export function stretched({ rows, columns, shades }: Grid): Grid {
  const most = shades.reduce((a, b) => Math.max(a, b), 0) || 1;
  return { rows, columns, shades: shades.map((shade) => shade / most) };
}

/** Pictures of as many rows side by side, a little apart. */
export function beside(grids: readonly Grid[]): Grid {
  const gap = 8;
  const starts = grids.map((_, i) => grids.slice(0, i).reduce((sum, { columns }) => sum + columns + gap, 0));
  const columns = starts.at(-1)! + grids.at(-1)!.columns;
  return grid(Math.max(...grids.map(({ rows }) => rows)), columns, (row, column) => {
    const at = starts.filter((start) => start <= column).length - 1;
    const { rows, columns: own, shades } = grids[at]!;
    const inside = column - starts[at]!;
    return row < rows && inside < own ? shades[row * own + inside]! : 0;
  });
}

const blocks = [' ', '░', '▒', '▓', '█'];

/** Lines of text in a frame, two characters a cell so that cells are square. */
export function terminalLines({ rows, columns, shades }: Grid): string[] {
  const bar = '─'.repeat(2 * columns);
  const lines = Array.from({ length: rows }, (_, row) => {
    const cells = shades.subarray(row * columns, (row + 1) * columns);
    return `│${Array.from(cells, (x) => blocks[x === 0 ? 0 : Math.max(1, Math.round(x * 4))]!.repeat(2)).join('')}│`;
  });
  return [`┌${bar}┐`, ...lines, `└${bar}┘`];
}
