import { normalOf, type Initialiser } from '../../attention/parameters.js';
import { anything, callable, checkValues, flag, wholeFrom } from '../../core/requirements.js';
import { scope, type Tensor } from '../../tensor/index.js';
import { activations, checkActivation, gate, type ActivationName } from '../activation.js';
import { Dropout } from '../dropout.js';
import { inChunks } from '../in-chunks.js';
import type { FeedForward } from '../layer.js';
import { Linear } from '../linear.js';
import { Module } from '../module.js';
import { checkRows } from '../rows.js';
import { defineFeedForward } from './define.js';

export interface FeedForwardOptions {
  /** Default `'gelu'`. */
  readonly activation?: ActivationName;
  /** Whether a second product gates the first; default false. */
  readonly gated?: boolean;
  /** Whether the products have biases; default those of the papers: plain has, gated has not. */
  readonly bias?: boolean;
  /** Rate at which hidden activations are dropped in training; default 0. */
  readonly dropout?: number;
  /** Tokens whose hidden activations live at a time; default all. */
  readonly chunk?: number;
  /** Of the weights; default that of `Linear`. */
  readonly init?: Initialiser;
  /** Of the last product's weights; default `init`. */
  readonly outInit?: Initialiser;
}

const requirements = {
  activation: anything,
  gated: flag,
  bias: flag,
  dropout: anything,
  chunk: wholeFrom(1),
  init: callable,
  outInit: callable,
};

/**
 * Two products with an activation between, for every token by itself: `[..., features] → [..., features]`.
 *
 * - plain: `activation(x·up)·down` (Vaswani et al. 2017, arXiv 1706.03762, section 3.3)
 * - gated: `(activation(x·gate) ⊙ x·up)·down`, SwiGLU with `silu`, GEGLU with `gelu` (Shazeer 2020, arXiv 2002.05202)
 * - chunked: tokens do not see each other, so at most `chunk` are taken at a time, and again in the backward pass, which computes
 *   the hidden activations of one chunk anew (Kitaev et al. 2020, "Reformer", arXiv 2001.04451, section 3). The values are those
 *   of all at once, to the bit unless a chunk is one token or `hidden` or `features` is 1024 or more: `matmul` may then add in
 *   another order.
 *
 * @throws ShapeError or OptionError for sizes, rates or names that are none.
 */
export class DenseFeedForward extends Module implements FeedForward {
  readonly gate: Linear | undefined;
  readonly up: Linear;
  readonly down: Linear;
  readonly dropout: Dropout;
  readonly activation: ActivationName;
  readonly chunk: number | undefined;

  constructor(
    readonly features: number,
    readonly hidden: number,
    options: FeedForwardOptions = {},
  ) {
    super();
    checkValues('DenseFeedForward', options, requirements);
    const { activation = 'gelu', gated = false, bias = !gated, dropout = 0, chunk, init, outInit = init } = options;
    this.activation = checkActivation('DenseFeedForward', activation);
    this.chunk = chunk;
    const linear = { bias, ...(init && { init }) };
    this.gate = gated ? this.child('gate', new Linear(features, hidden, linear)) : undefined;
    this.up = this.child('up', new Linear(features, hidden, linear));
    this.down = this.child('down', new Linear(hidden, features, { bias, ...(outInit && { init: outInit }) }));
    this.dropout = this.child('dropout', new Dropout(dropout));
  }

  /** @throws ShapeError unless x is `[..., features]`. */
  forward(x: Tensor): Tensor {
    checkRows('DenseFeedForward', this, x, this.features);
    return scope(() => inChunks(this, x, this.chunk, (rows, firstRow) => this.#part(rows, firstRow)));
  }

  /** Of rows that begin at `firstRow` of all, `[n, features]`. */
  #part(x: Tensor, firstRow: number): Tensor {
    return scope(() => {
      const hidden = this.gate
        ? gate(this.gate.forward(x), this.up.forward(x), this.activation)
        : this.up.forward(x, activations[this.activation]);
      return this.down.forward(this.dropout.forward(hidden, { firstRow }));
    });
  }
}

/** The layer that every other one is compared with. */
export const dense = defineFeedForward({
  name: 'dense',
  summary: 'Two products with an activation between, the same for every token; gated by a third where asked for.',
  paper: {
    authors: 'Vaswani et al.',
    title: 'Attention Is All You Need',
    year: 2017,
    arxiv: '1706.03762',
  },
  formula: 'activation(x·W₁ + b₁)·W₂ + b₂, or gated (activation(x·W_g) ⊙ x·W₁)·W₂',
  options: {},
  supports: { chunk: true, bias: true },
  cost: ({ features, hidden, gated, length }) => ({ multiplyAdds: (gated ? 3 : 2) * length * features * hidden }),
  create: ({ features, hidden, activation, gated, chunk, share, bias }) =>
    new DenseFeedForward(features, hidden, {
      activation,
      gated,
      ...(chunk > 0 && { chunk }),
      ...(bias !== undefined && { bias }),
      outInit: normalOf(share / Math.sqrt(hidden)),
    }),
});
