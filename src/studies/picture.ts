import { compile } from '../codegen/expression/index.js';
import { words } from '../core/random.js';
import { causal } from '../masks/index.js';
import { classifyTiles, FULL } from '../masks/tiles.js';
import type { NamedMask } from './mask-names.js';

/** A mask as a picture: queries downwards, keys to the right. */
export interface MaskPicture {
  readonly mask: string;
  readonly label: string;
  readonly length: number;
  /** Which head it shows, from 0; null where all have one mask. */
  readonly head: number | null;
  /** Positions along a side of a cell. */
  readonly cell: number;
  /** A line of digits for each row of cells: 0 no pair, 9 every pair, 1 to 8 the share between, by its square root. */
  readonly cells: readonly string[];
  /** Single pairs around the middle of the diagonal, 0 or 1, from position `first` on both axes. */
  readonly zoom: { readonly first: number; readonly pairs: readonly string[] };
}

const CELLS = 128;
const ZOOM = 40;
const SAMPLES = 24;

type Subject = Pick<NamedMask, 'name' | 'label' | 'causal' | 'mask'> & { readonly heads?: number };

/** Pictures of a mask: one, or where heads differ, of the first and the last. */
export function maskPictures(subject: Subject, length: number): MaskPicture[] {
  const first = maskPicture(subject, length);
  if (first.head === null) return [first];
  const last = maskPicture(subject, length, subject.heads! - 1);
  const equal = last.cells.every((line, i) => line === first.cells[i]);
  return equal ? [first] : [first, last];
}

/** Draws a mask over `length` positions: cells are classified by interval analysis, shares of mixed ones are sampled. */
export function maskPicture(
  { name, label, causal: isCausal, mask, heads = 1 }: Subject,
  length: number,
  head = 0,
): MaskPicture {
  const shape = { B: 1, H: heads, G: heads, L: length, S: length };
  const whole = isCausal ? (mask ? mask.and(causal()) : causal()) : mask;
  const expression = whole?.expression(shape) ?? null;
  const sees = expression === null ? () => 1 : compile(expression, ['b', 'h', 'q', 'k']);
  const cell = Math.ceil(length / CELLS);
  const { rows, columns, rowOffsets, runs, classes } = classifyTiles(expression, {
    ...shape,
    queryTile: cell,
    keyTile: cell,
    queryOffset: 0,
  });
  const offsets = words(0, 'picture samples', 2 * SAMPLES);
  const share = (row: number, column: number): number => {
    let hits = 0;
    for (let s = 0; s < SAMPLES; s++) {
      const q = Math.min(length - 1, row * cell + (offsets[2 * s]! % cell));
      const k = Math.min(length - 1, column * cell + (offsets[2 * s + 1]! % cell));
      hits += sees(0, head, q, k);
    }
    return hits / SAMPLES;
  };
  const cells = Array.from({ length: rows }, (_, row) => {
    const digits = new Array<number>(columns).fill(0);
    const index = (classes.perHead ? head * rows : 0) + row;
    for (let run = rowOffsets[index]!; run < rowOffsets[index + 1]!; run++) {
      const [start, end, kind] = [runs[3 * run]!, runs[3 * run + 1]!, runs[3 * run + 2]!];
      for (let column = start; column < end; column++) {
        // a few samples of a sparse cell may all miss; a mixed cell is never drawn as empty or full
        digits[column] = kind === FULL ? 9 : Math.min(8, 1 + Math.floor(8 * Math.sqrt(share(row, column))));
      }
    }
    return digits.join('');
  });
  const size = Math.min(ZOOM, length);
  const first = Math.floor((length - size) / 2);
  const pairs = Array.from({ length: size }, (_, q) =>
    Array.from({ length: size }, (_, k) => sees(0, head, first + q, first + k)).join(''),
  );
  return { mask: name, label, length, head: classes.perHead ? head : null, cell, cells, zoom: { first, pairs } };
}
