import { ShapeError } from '../core/errors.js';
import { checkValues, int32From, oneOf } from '../core/requirements.js';
import { lookup, tableOf, type Bool, type I32 } from '../codegen/expression/index.js';
import { Mask } from './mask.js';
import { place } from './place.js';

const { q, k } = place;

/**
 * Local attention in one dimension: blocks of `size` queries see their own block and the `before` and `after` keys next to it.
 * The first block lacks its first `ahead` positions, by default none. (Image Transformer: Parmar et al. 2018, arXiv 1802.05751.)
 *
 * @throws OptionError unless `size` ≥ 1, `before` ≥ 0, `after` ≥ 0 and `ahead` ≥ 0 are integers.
 */
export function localBlocks(options: {
  readonly size: number;
  readonly before: number;
  readonly after: number;
  readonly ahead?: number;
}): Mask {
  const extents = { before: int32From(0), after: int32From(0), ahead: int32From(0) };
  checkValues('localBlocks', options, { size: int32From(1), ...extents }, ['size', 'before', 'after']);
  const { size, before, after, ahead = 0 } = options;
  const more = ahead === 0 ? '' : `, ahead: ${ahead}`;
  return new Mask(`localBlocks({ size: ${size}, before: ${before}, after: ${after}${more} })`, () => {
    const block = (ahead === 0 ? q : q.add(ahead)).floorDiv(size).mul(size);
    const start = ahead === 0 ? block : block.sub(ahead);
    return k.ge(start.sub(before)).and(k.lt(start.add(size + after)));
  });
}

const orders = ['raster', 'blocks'] as const;
/** Pixels row by row, or blocks row by row with the pixels of a block row by row. */
export type PixelOrder = (typeof orders)[number];

export interface LocalImageOptions {
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  /** Pixels of a block of queries. */
  readonly blockHeight: number;
  readonly blockWidth: number;
  /** Pixels that it sees above and below, left and right of the block. */
  readonly flangeHeight: number;
  readonly flangeWidth: number;
  /** Of the sequence; default `raster`. */
  readonly order?: PixelOrder;
}

/**
 * Local attention in an image: blocks of queries see their own block and a flange around it. Under `causal()`, with
 * `order: 'blocks'`, these are the sets of the paper: the strips above and left of the block, and what is before in it.
 * (Image Transformer, 2018.)
 *
 * @throws OptionError unless sizes ≥ 1 and flanges ≥ 0 are integers; ShapeError for more positions than pixels.
 */
export function localImage(options: LocalImageOptions): Mask {
  const who = 'localImage';
  const sizes = ['height', 'width', 'blockHeight', 'blockWidth'] as const;
  const flanges = ['flangeHeight', 'flangeWidth'] as const;
  const ofAll = (names: readonly string[], least: number) =>
    Object.fromEntries(names.map((name) => [name, int32From(least)]));
  const requirements = { ...ofAll(sizes, 1), ...ofAll(flanges, 0), order: oneOf(orders) };
  checkValues(who, options, requirements, [...sizes, ...flanges]);
  const { order = 'raster', height, width, blockHeight, blockWidth, flangeHeight, flangeWidth } = options;
  const shown = [...sizes, ...flanges].map((name) => `${name}: ${options[name]}`).join(', ');
  return new Mask(`localImage({ ${shown}, order: '${order}' })`, ({ S }) => {
    if (S > height * width) {
      throw new ShapeError(`${who}: ${S} positions are more than the ${height} × ${width} pixels.`);
    }
    const { row, column } = order === 'raster' ? byRaster(width) : byBlocks(options, S);
    const near = (axis: (x: I32) => I32, block: number, flange: number): Bool => {
      const start = axis(q).floorDiv(block).mul(block);
      return axis(k)
        .ge(start.sub(flange))
        .and(axis(k).lt(start.add(block + flange)));
    };
    return near(row, blockHeight, flangeHeight).and(near(column, blockWidth, flangeWidth));
  });
}

interface Pixels {
  readonly row: (x: I32) => I32;
  readonly column: (x: I32) => I32;
}

const byRaster = (width: number): Pixels => ({ row: (x) => x.floorDiv(width), column: (x) => x.mod(width) });

function byBlocks({ height, width, blockHeight, blockWidth }: LocalImageOptions, S: number): Pixels {
  const [rows, columns] = [new Int32Array(S), new Int32Array(S)];
  let at = 0;
  for (let top = 0; top < height && at < S; top += blockHeight) {
    for (let left = 0; left < width; left += blockWidth) {
      for (let y = top; y < Math.min(height, top + blockHeight); y++) {
        for (let x = left; x < Math.min(width, left + blockWidth) && at < S; x++) {
          rows[at] = y;
          columns[at++] = x;
        }
      }
    }
  }
  const [rowTable, columnTable] = [tableOf('rows', rows), tableOf('columns', columns)];
  return { row: (x) => lookup(rowTable, x), column: (x) => lookup(columnTable, x) };
}
