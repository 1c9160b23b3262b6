import type { AttentionShape } from '../options.js';

export interface ImageRule {
  readonly height: number;
  readonly width: number;
  readonly blockHeight: number;
  readonly blockWidth: number;
  readonly flangeHeight: number;
  readonly flangeWidth: number;
  readonly order: 'raster' | 'blocks';
}

/** A rectangle of pixels, ends exclusive. */
interface Rectangle {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Pairs of one head of local attention in an image, query by query in the number of keys before a rectangle's corners. */
export function imagePairs({ L, S }: Pick<AttentionShape, 'L' | 'S'>, rule: ImageRule, causal: boolean): number {
  const { height, width, blockHeight, blockWidth, flangeHeight, flangeWidth, order } = rule;
  let total = 0;
  for (let i = S - L; i < S; i++) {
    const { row, column } = order === 'raster' ? pixelByRaster(i, rule) : pixelByBlocks(i, rule);
    const [top, left] = [row - (row % blockHeight), column - (column % blockWidth)];
    const seen = {
      top: Math.max(0, top - flangeHeight),
      bottom: Math.min(height, top + blockHeight + flangeHeight),
      left: Math.max(0, left - flangeWidth),
      right: Math.min(width, left + blockWidth + flangeWidth),
    };
    const end = causal ? i + 1 : S;
    total += order === 'raster' ? countByRaster(seen, end, rule) : countByBlocks(seen, end, rule);
  }
  return total;
}

interface Pixel {
  readonly row: number;
  readonly column: number;
}

const pixelByRaster = (i: number, { width }: ImageRule): Pixel => ({ row: Math.floor(i / width), column: i % width });

function pixelByBlocks(i: number, { height, width, blockHeight, blockWidth }: ImageRule): Pixel {
  const top = blockHeight * Math.floor(i / (width * blockHeight));
  // at least 1, for the place after the last pixel
  const rows = Math.max(1, Math.min(blockHeight, height - top));
  const inBand = i - top * width;
  const left = blockWidth * Math.floor(inBand / (rows * blockWidth));
  const columns = Math.max(1, Math.min(blockWidth, width - left));
  const inBlock = inBand - left * rows;
  return { row: top + Math.floor(inBlock / columns), column: left + (inBlock % columns) };
}

/** Pixels of a rectangle among the first `end` row by row. */
function countByRaster({ top, bottom, left, right }: Rectangle, end: number, { width }: ImageRule): number {
  const whole = Math.floor(end / width);
  const rows = Math.max(0, Math.min(bottom, whole) - top);
  const inLast = whole >= top && whole < bottom ? Math.max(0, Math.min(right, end % width) - left) : 0;
  return rows * (right - left) + inLast;
}

/** Pixels of a rectangle among the first `end` block by block. */
function countByBlocks(seen: Rectangle, end: number, rule: ImageRule): number {
  const { height, width, blockHeight, blockWidth } = rule;
  const { row, column } = pixelByBlocks(end, rule);
  const [top, left] = [row - (row % blockHeight), column - (column % blockWidth)];
  const area = (a: Rectangle): number =>
    Math.max(0, Math.min(a.bottom, seen.bottom) - Math.max(a.top, seen.top)) *
    Math.max(0, Math.min(a.right, seen.right) - Math.max(a.left, seen.left));
  // bands of blocks before, blocks of this band before, rows of this block before, pixels of this row before
  const right = Math.min(width, left + blockWidth);
  return (
    area({ top: 0, bottom: top, left: 0, right: width }) +
    area({ top, bottom: Math.min(height, top + blockHeight), left: 0, right: left }) +
    area({ top, bottom: row, left, right }) +
    area({ top: row, bottom: Math.min(height, row + 1), left, right: column })
  );
}
