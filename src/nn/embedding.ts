import { learnedMatrix, normalOf, type Initialiser } from '../attention/parameters.js';
import { callable, checkValue, checkValues, wholeBetween } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { cast, embedding, matmul, slice, type MatmulOptions } from '../ops/index.js';
import { scope, someTensor, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { checkRows, rowsOf } from './rows.js';

export interface EmbeddingOptions {
  /** Of the table; default N(0, 0.02²). */
  readonly init?: Initialiser;
}

/**
 * A vector for each of `tokens` tokens: rows of `weight [tokens, features]`. `logits` uses the same table to score them, which is
 * called tied (Press, Wolf 2016, arXiv 1608.05859).
 *
 * The table begins as N(0, 0.02²), as in GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners"): tied logits of normalised features then begin with deviation 0.02·√features.
 *
 * @throws ShapeError for sizes that are not whole numbers of at least 1; OptionError for an unknown option.
 */
export class Embedding extends Module {
  readonly weight: Parameter;

  constructor(
    readonly tokens: number,
    readonly features: number,
    options: EmbeddingOptions = {},
  ) {
    super();
    checkValues('Embedding', options, { init: callable });
    checkShape('Embedding', [tokens, features]);
    this.weight = this.parameter('weight', learnedMatrix([tokens, features], options.init ?? normalOf(0.02)));
  }

  /** `[..., features]`, f32, of i32 tokens of any shape. @throws OptionError naming the first token that is not in the table. */
  forward(tokens: Tensor): Tensor {
    const { weight } = this;
    if (weight.storage === 'f32') return embedding(weight.value, tokens);
    return scope(() => cast(embedding(weight.value, tokens), 'f32'));
  }

  /**
   * `x·weightᵀ + bias` of the first `tokens` rows of the table, default all: `[..., features] → [..., tokens]`, f32 whatever x is stored
   * as. The bias, `[tokens]`, is of a model that has one.
   *
   * @throws ShapeError for another x; OptionError for more tokens than there are.
   */
  logits(x: Tensor, tokens = this.tokens, options: Pick<MatmulOptions, 'bias'> = {}): Tensor {
    checkRows('Embedding', this, x, this.features);
    checkValues('Embedding.logits', options, { bias: someTensor });
    checkValue('Embedding.logits', 'tokens', tokens, wholeBetween(1, this.tokens));
    return scope(() => {
      const table = tokens === this.tokens ? this.weight.value : slice(this.weight.value, { end: tokens });
      return rowsOf(x, (rows) =>
        matmul(rows, table, { transposeB: true, ...(table.dtype !== 'f32' && { dtype: 'f32' }), ...options }),
      );
    });
  }
}
