import { checkValues, made, positive, wholeFrom } from '../core/requirements.js';
import { memoised } from '../core/memo.js';
import { withoutPadding } from '../attention/patterns/without-padding.js';
import { lengths as lengthsMask } from '../masks/index.js';
import { attend, cast, mergeAttention, reshape, scatterAdd, slice, type PartialAttention } from '../ops/index.js';
import { scope, tensor, zeros, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import { RmsNorm } from './norm.js';
import { Positions } from './positions.js';

export interface TransientGlobalsOptions {
  /** Tokens of a block. */
  readonly block: number;
  /** Of the norm of the blocks' sums. */
  readonly epsilon?: number | undefined;
  /** Of blocks, as those of tokens are: with `t5`, a table of its own for distances in blocks. Default none. */
  readonly positions?: Positions | undefined;
}

/** Where rows of texts are summed: the block of each row, and how many whole blocks each text has. */
export interface Blocks {
  readonly count: number;
  /** Of the rows of a text without padding; −1 of none. */
  readonly of: Int32Array;
  readonly whole: readonly number[];
}

/**
 * Keys that stand for blocks of rows: `norm(Σ x_j)` over each block's rows, made anew in each layer and projected as rows are. Rows behind
 * the last whole block are of that block; a text shorter than a block has none. (Guo et al. 2022, arXiv 2112.07916, section 3.2.)
 *
 * As the published code: a row's block is `⌊Σ_{j<i} 1/b⌋` of sums in f32, which is `⌊i/b⌋` where b is a power of two.
 */
export class TransientGlobals extends Module {
  readonly norm: RmsNorm;
  readonly positions: Positions | undefined;

  constructor(
    readonly features: number,
    readonly options: TransientGlobalsOptions,
  ) {
    super();
    const requirements = { block: wholeFrom(1), epsilon: positive, positions: made('Positions', Positions) };
    checkValues('TransientGlobals', options, requirements, ['block']);
    const { epsilon, positions } = options;
    this.norm = this.child('norm', new RmsNorm(features, epsilon === undefined ? {} : { epsilon }));
    this.positions = positions;
  }

  /** Of B texts of L rows, of which so many are real. */
  blocks(B: number, L: number, lengths: readonly number[] = new Array<number>(B).fill(L)): Blocks {
    const { block } = this.options;
    return { count: Math.floor(L / block), of: numbered(L, block), whole: lengths.map((n) => Math.floor(n / block)) };
  }

  /** `[B, blocks, features]` of rows `[B, L, features]`. */
  rows(x: Tensor, { count, of, whole }: Blocks, lengths: readonly number[] | undefined): Tensor {
    const [B, L, F] = x.shape as [number, number, number];
    const spare = B * count;
    const places = Int32Array.from({ length: B * L }, (_, i) => {
      const [b, row] = [Math.floor(i / L), i % L];
      const last = whole[b]! - 1;
      return last < 0 || row >= (lengths?.[b] ?? L) ? spare : b * count + Math.min(of[row]!, last);
    });
    return scope(() => {
      const real = cast(reshape(withoutPadding(x, lengths), [B * L, F]), 'f32');
      const to = tensor(places, [B * L], { device: x.device });
      const sums = slice(scatterAdd(zeros([spare + 1, F], { device: x.device }), to, real), { end: spare });
      return cast(this.norm.forward(reshape(sums, [B, count, F])), x.dtype);
    });
  }

  /** What the keys `near` by gave, with those of blocks beside them in one softmax. */
  beside(
    near: PartialAttention,
    { q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
    { blocks, scale }: { readonly blocks: Blocks; readonly scale: number },
  ): PartialAttention {
    const { count, of, whole } = blocks;
    const score = this.positions?.blockScore(of, whole);
    const far = attend(q, k, v, {
      scale,
      ...(score && { score }),
      ...(whole.some((own) => own < count) && { mask: lengthsMask(whole) }),
    });
    return mergeAttention(near, far);
  }
}

const numbered = memoised(
  (length: number, block: number): Int32Array => {
    const part = Math.fround(1 / block);
    let sum = 0;
    return Int32Array.from({ length }, () => {
      sum += part;
      const before = Math.fround(Math.fround(sum) - part);
      return Math.floor(Math.fround(Math.fround(1 + before) - 1));
    });
  },
  { by: (length, block) => [length, block], most: 16 },
);
