import type { Expression } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { defaultKeyBlock } from '../../kernels/attend/layout.js';
import type { AttendShape } from '../../masks/index.js';
import { tileClass, type TileMap } from '../../masks/tiles.js';
import { Tensor } from '../../tensor/tensor.js';
import { specialise, type Specialised } from './specialise.js';
import { splitMask, type MaskPart } from './split.js';
import { cheapestTiling, coarseTiling, type Visited } from './tiling.js';

/** What a mask and a score change mean for the kernels at one shape: worked out on the host, once for equal inputs. */
export interface AttendPlan {
  readonly shape: AttendShape;
  readonly mask: Expression | null;
  /** Over disjoint sets of pairs, each of which adds to the results of those before. */
  readonly parts: readonly PlanPart[];
  /** Whether pairs are hidden in visited tiles: NaN and Inf must not leak from them. */
  readonly hides: boolean;
}

export interface PlanPart extends Specialised {
  /** S counts the keys it is about. */
  readonly shape: AttendShape;
  readonly tiles: TileMap;
  readonly visited: Visited;
  /** For each head of each batch: 1 where this is the first part that sees its rows, and initialises them. */
  readonly opens: Int32Array;
  /** The keys it is about, where they are gathered: its mask and score then read places in this list. */
  readonly keys: Int32Array | undefined;
}

export interface PlanOptions {
  readonly D: number;
  readonly E: number;
  readonly dropout: boolean;
  /** The values that q and k take where they are not those of the shape: steps of one sequence then share a kernel. */
  readonly positions?: AttendShape;
  /** Whether several parts may be made of the mask; default true. */
  readonly split?: boolean;
}

/** The plan of a call; the same object for equal inputs. */
export const planAttend = memoised(plan, {
  by: (shape, mask, score, { D, E, dropout, positions, split }) => [
    score,
    mask,
    Object.values(shape),
    [D, E, dropout, split],
    positions && Object.values(positions),
  ],
  most: 64,
});

function plan(
  shape: AttendShape,
  mask: Expression | null,
  score: Expression | undefined,
  options: PlanOptions,
): AttendPlan {
  const parts = partsOf(shape, mask, options).map((part) => planPart(shape, part, score, options));
  const opens = openings(shape, parts);
  return {
    shape,
    mask,
    parts: parts.map((part, i) => ({ ...part, opens: opens[i]! })),
    hides: parts.some(({ spec }) => spec.mask !== undefined || spec.hides),
  };
}

/** The tensors that the score reads. */
export const tensorsRead = ({ parts }: AttendPlan): readonly Tensor[] => [
  ...new Set(parts.flatMap(({ spec }) => spec.tables.map(({ source }) => source)).filter((x) => x instanceof Tensor)),
];

type WholeMask = Omit<MaskPart, 'mask'> & { readonly mask: Expression | null };

/** A split must save this share of the pairs to be worth another pass over the queries. */
const worthwhile = 0.8;

function partsOf(
  shape: AttendShape,
  mask: Expression | null,
  { dropout, split = true }: PlanOptions,
): readonly WholeMask[] {
  if (mask === null || !split) return [{ mask }];
  // dropout goes by places, which gathering changes
  const parts = splitMask(mask, { S: shape.S, keyBlock: defaultKeyBlock, gather: !dropout });
  const visited = (part: MaskPart): number => coarseTiling(part.mask, shapeOf(shape, part)).visited.pairs;
  const cost = parts.reduce((sum, part) => sum + visited(part), 0);
  return cost < worthwhile * visited({ mask }) ? parts : [{ mask }];
}

const shapeOf = (shape: AttendShape, { gathered }: WholeMask): AttendShape =>
  gathered ? { ...shape, S: gathered.keys.length } : shape;

function planPart(
  whole: AttendShape,
  part: WholeMask,
  score: Expression | undefined,
  { D, E, dropout, positions = whole }: PlanOptions,
): Omit<PlanPart, 'opens'> {
  const { gathered } = part;
  const shape = shapeOf(whole, part);
  const { period, mask, choice, tiles, visited } = cheapestTiling(part.mask, shape);
  // where no tile is partial, the mask is never evaluated
  const evaluated = tiles.counts.partial > 0 ? (mask ?? undefined) : undefined;
  const change = score && gathered ? gathered.place(score) : score;
  // places in a list have a range of their own
  const own = gathered ? shape : positions;
  const specialised = specialise(change, evaluated, { D, E, dropout, period, ...choice }, own);
  return { ...specialised, shape, tiles, visited, keys: gathered?.keys };
}

/** The first part that visits a head initialises its output rows; where none does, the first of all. */
function openings({ B, H }: AttendShape, parts: readonly Pick<PlanPart, 'tiles'>[]): readonly Int32Array[] {
  const openers = Array.from({ length: B * H }, (_, i) => {
    const first = parts.findIndex(({ tiles }) => visitsAny(tiles, tileClass(tiles, H, Math.floor(i / H), i % H)));
    return Math.max(first, 0);
  });
  return parts.map((_, index) => Int32Array.from(openers, (first) => +(first === index)));
}

const visitsAny = ({ rows, rowOffsets }: TileMap, ofClass: number): boolean =>
  rowOffsets[ofClass * rows]! < rowOffsets[(ofClass + 1) * rows]!;
