import type { GpuTarget } from '../../../codegen/gpu.js';
import type { AttendSpec } from '../spec.js';

type KeyBlocks = Pick<AttendSpec, 'keyBlock'>;

/**
 * How a workgroup is cut: it owns `own` rows and meets `other` rows of the other side at a time; an invocation has four of each, so its
 * scores are four vectors. Host and text share these numbers.
 */
export interface AttendCut {
  readonly own: number;
  readonly other: number;
  /** Quads of four rows. */
  readonly ownQuads: number;
  readonly otherQuads: number;
  readonly invocations: number;
  /** Whether the own rows of a product stay in workgroup memory. */
  readonly resident: boolean;
  /** Columns of an operand of a product that are there at a time. */
  readonly columns: number;
  /** Quads of the other side's rows that are there at a time where weights meet them. */
  readonly rowQuads: number;
  /** Vectors of workgroup memory: where the resident rows are, then weights, then what is staged; and all of them. */
  readonly weights: number;
  readonly staged: number;
  readonly vectors: number;
}

export interface CutOptions {
  /** Default those of tiles of queries. */
  readonly shapes?: readonly (readonly [own: number, other: number])[];
  /** Rows of the tile map on the own side, which a cut divides. */
  readonly tile: number;
  /** Columns of what is multiplied into scores. */
  readonly products: readonly number[];
  /** Columns of each sum that an invocation keeps in registers. */
  readonly sums: readonly number[];
  /** Whether own rows are of one product only, and may stay. */
  readonly mayStay: boolean;
  /** Whether what is staged must have room for a number of every pair. */
  readonly pairs?: boolean;
}

/** Rows of the own and of the other side, best first: large tiles read the other side less often. */
const shapes = [
  [64, 32],
  [32, 32],
  [16, 64],
  [16, 32],
] as const;
/** Vectors of four sums that an invocation keeps: beyond, compilers put them into memory. */
const mostSums = 16;

/** A pitch that is odd: writes along it meet different banks. */
export const odd = (vectors: number): number => vectors + 1 - (vectors % 2);

/** Columns of sums that a slab has at most: wider heads are cut into slabs, each of which forms all scores. */
export const slabColumns = 128;

/** The shape that reads least of memory for a pair, of those that fit; what is staged takes the rest of workgroup memory. */
export function attendCut({ workgroupBytes, invocations }: GpuTarget, options: CutOptions): AttendCut {
  // a few words beside
  const room = Math.floor(workgroupBytes / 16) - 4;
  const found: { readonly cut: AttendCut; readonly reads: number; readonly spills: boolean }[] = [];
  for (const resident of options.mayStay ? [true, false] : [false]) {
    for (const [own, other] of options.shapes ?? shapes) {
      if (options.tile % own !== 0 || (own / 4) * (other / 4) > invocations) continue;
      const cut = fitted(own, other, options, room, resident);
      if (cut === undefined) continue;
      const total = (widths: readonly number[]): number => widths.reduce((a, b) => a + b, 0);
      const { products, sums } = options;
      const kept = total(sums.map((width) => Math.ceil(width / cut.otherQuads)));
      const reads = (total(products) + total(sums)) / own + (resident ? 0 : total(products) / other);
      found.push({ cut, reads, spills: kept > mostSums });
    }
  }
  const best = found.sort((a, b) => Number(a.spills) - Number(b.spills) || a.reads - b.reads)[0];
  if (best === undefined) throw new Error(`attend: no tile of ${options.tile} rows fits ${workgroupBytes} bytes`);
  return best.cut;
}

function fitted(
  own: number,
  other: number,
  options: CutOptions,
  room: number,
  resident: boolean,
): AttendCut | undefined {
  const [ownQuads, otherQuads] = [own / 4, other / 4];
  const widest = Math.max(...options.products);
  const most = Math.max(1, ...options.sums);
  const weights = other * (ownQuads + 1);
  const kept = resident ? widest * ownQuads : 0;
  const left = room - kept - weights;
  const least = Math.max(ownQuads * (otherQuads + 1), options.pairs ? 4 * ownQuads * otherQuads : 0);
  const perColumn = otherQuads + 1 + (resident ? 0 : ownQuads + 1);
  const columns = Math.min(widest, Math.floor(left / perColumn));
  let rowQuads: number = otherQuads;
  while (rowQuads > 1 && most * odd(rowQuads) > left) rowQuads /= 2;
  if (columns < Math.min(8, widest) || most * odd(rowQuads) > left || least > left) return undefined;
  const staged = Math.max(columns * perColumn, most * odd(rowQuads), least);
  return {
    own,
    other,
    ownQuads,
    otherQuads,
    invocations: ownQuads * otherQuads,
    resident,
    // whole slices of one size
    columns: Math.ceil(widest / Math.ceil(widest / columns)),
    rowQuads,
    weights: kept,
    staged: kept + weights,
    vectors: kept + weights + staged,
  };
}

/** Keys of a row of the transposed tile map: a cut divides them, and blocks of keys divide them or the other way round. */
export const gpuKeyTile = ({ keyBlock }: KeyBlocks): number => (32 % keyBlock === 0 || keyBlock % 32 === 0 ? 32 : 16);

/** Blocks of the tile map that a row of the transposed one is about. */
export const blocksOf = (spec: KeyBlocks): number => Math.max(1, gpuKeyTile(spec) / spec.keyBlock);
/** The kinds of all blocks, two bits each, where every pair is allowed. */
export const allFull = (spec: KeyBlocks): number => {
  let kinds = 0;
  for (let i = 0; i < blocksOf(spec); i++) kinds |= 2 << (2 * i);
  return kinds;
};
