import { variable, type Expression } from '../../codegen/expression/index.js';
import { gumbelOf } from '../../attention/hashing/sort-logits.js';
import { integer, number } from '../../attention/options.js';
import { constantOf, learned, normalOf } from '../../attention/parameters.js';
import type { StepSeed } from '../../attention/index.js';
import { memoised } from '../../core/memo.js';
import { uniform } from '../../core/random.js';
import { anything, atLeast, between, checkValues, refuse, wholeFrom } from '../../core/requirements.js';
import { checkShape } from '../../core/shape.js';
import { add, argmax, cast, dotRows, map, matmul, reshape, softmax, weighRows } from '../../ops/index.js';
import { argument, mapNamed } from '../../ops/map.js';
import { withNoise } from '../../ops/noise.js';
import { decided, full, scope, tensor, type Tensor } from '../../tensor/index.js';
import { noteBelow } from '../../tensor/integers.js';
import { activate, activations, checkActivation, type ActivationName } from '../activation.js';
import type { FeedForward } from '../layer.js';
import { Linear } from '../linear.js';
import { Module } from '../module.js';
import type { Parameter } from '../parameter.js';
import { checkRows } from '../rows.js';
import { stepSeed } from '../step-seed.js';
import { storedAs } from '../stored.js';
import { defineFeedForward } from './define.js';
import { oneHot, straightThrough } from './straight-through.js';

export interface OneOfBlocksOptions {
  /** N, units of a block, of which a token has one. */
  readonly block: number;
  /** Size between the two products of the controller. */
  readonly rank: number;
  /** τ, by which the Gumbel noise of training is multiplied. */
  readonly temperature: number;
  /** Share of training batches in which one unit of a block counts; in the others all do, by their weights. */
  readonly quantProb: number;
  readonly activation: ActivationName;
  /** Deviation of the last product's weights at first; default 1/√hidden. */
  readonly deviation?: number;
}

const requirements = {
  block: wholeFrom(1),
  rank: wholeFrom(1),
  temperature: atLeast(0),
  quantProb: between(0, 1),
  activation: anything,
  deviation: { must: 'a number above 0', holds: (value: unknown) => typeof value === 'number' && value > 0 },
};

/**
 * A feed-forward layer of which each token has one unit of every block of N: `activation(x·W₁ᵀ ⊙ m)·W₂ + b₂`, where m is 1 at one unit of each
 * block, chosen by `x·M₁·M₂ + b`; `[..., features] → [..., features]` (Jaszczur et al. 2021, "Sparse is Enough in Scaling
 * Transformers", arXiv 2111.12763, section 3.1).
 *
 * In training the choice is of `softmax + τ·Gumbel noise`, learns as the softmax does (straight-through), and counts in a share of the
 * batches, while in the others the softmax itself stands for m. All units are computed. Outside of training a token gathers the weights of
 * the units it has, N times fewer than all; only 16 rows or more with blocks of fewer than 8 units compute all and hide the others,
 * which is as fast there. The two agree up to rounding.
 *
 * @throws ShapeError or OptionError for sizes that are none, or a hidden size that blocks do not divide.
 */
export class OneOfBlocks extends Module implements FeedForward {
  readonly #reduce: Linear;
  readonly #choose: Linear;
  readonly up: Parameter;
  readonly down: Parameter;
  readonly bias: Parameter;

  constructor(
    readonly features: number,
    readonly hidden: number,
    readonly options: OneOfBlocksOptions,
  ) {
    super();
    checkValues('OneOfBlocks', options, requirements, ['block', 'rank', 'temperature', 'quantProb', 'activation']);
    checkShape('OneOfBlocks', [features, hidden]);
    const { block, rank, activation, deviation = 1 / Math.sqrt(hidden) } = options;
    checkActivation('OneOfBlocks', activation);
    refuse('OneOfBlocks', reasonsAgainstBlock(hidden, block));
    this.#reduce = this.child('reduce', new Linear(features, rank, { bias: false }));
    this.#choose = this.child('choose', new Linear(rank, hidden));
    // a row is what one unit reads, or gives: units are gathered
    this.up = this.parameter('up', learned([hidden, features], normalOf(1 / Math.sqrt(features))));
    this.down = this.parameter('down', learned([hidden, features], normalOf(deviation)));
    this.bias = this.parameter('bias', learned([features], constantOf(0)));
  }

  /** @throws ShapeError unless x is `[..., features]`. */
  forward(x: Tensor): Tensor {
    checkRows('OneOfBlocks', this, x, this.features);
    const { block } = this.options;
    return scope(() => {
      const rows = reshape(x, [-1, this.features]);
      const logits = cast(this.#choose.forward(this.#reduce.forward(rows)), 'f32');
      const blocks = reshape(logits, [rows.shape[0]!, this.hidden / block, block]); // [T, B, N]
      const training = stepSeed(this, 'OneOfBlocks');
      const out =
        training === undefined && gathers(rows.shape[0]!, block)
          ? this.#gathered(rows, chosen(blocks))
          : this.#whole(rows, training ? this.#trained(blocks, training) : oneHot(chosen(blocks), block));
      return reshape(out, x.shape);
    });
  }

  /** What multiplies the units in training. */
  #trained(logits: Tensor, training: StepSeed): Tensor {
    const { block, temperature, quantProb } = this.options;
    const weights = softmax(logits);
    // one draw for the batch
    if (!(uniform(training.seed, `quantise ${training.purpose}`, 1)[0]! < quantProb)) return weights;
    // a half times 1 ± 1 is uniform on [0, 1); a row of the generator is that of a token
    const halves = full([logits.shape[0]!, this.hidden], 0.5, { device: logits.device });
    const noise = reshape(withNoise('OneOfBlocks', halves, training, 'jitter', { factor: 1 }), logits.shape);
    // the logarithm of the softmax is off by one number for all of a block, so the choice is the same
    const noisy = (): Tensor => map((l, u) => l.add(gumbelOf(u).mul(temperature)), logits, noise);
    return straightThrough(oneHot(chosen(logits, noisy), block), weights);
  }

  #whole(rows: Tensor, mask: Tensor): Tensor {
    const units = matmul(rows, this.up.value, { transposeB: true, ...storedAs(rows) });
    const left = mapNamed('OneOfBlocks', masked(this.options.activation), [units, reshape(mask, units.shape)]);
    return matmul(cast(left, rows.dtype), this.down.value, { bias: this.bias.value, ...storedAs(rows) });
  }

  #gathered(rows: Tensor, choice: Tensor): Tensor {
    const { block, activation } = this.options;
    const [T, blocks] = choice.shape as [number, number];
    const starts = tensor(
      Int32Array.from({ length: blocks }, (_, i) => i * block),
      [1, blocks],
      { device: rows.device },
    );
    const units = map(variable('x0', 'i32').add(variable('x1', 'i32')), choice, starts);
    noteBelow(units, this.hidden);
    const left = activate(dotRows(rows, this.up.value, units), activation);
    return cast(add(weighRows(left, this.down.value, reshape(units, [T, blocks])), this.bias.value), rows.dtype);
  }
}

// one expression per name, so that its derivative and its kernels are found again
const masked = memoised((name: ActivationName): Expression => activations[name](argument(0).mul(argument(1))));

/** The unit of each block with the largest number, `[T, B]` of `[T, B, N]`; decided, see `decided`. */
const chosen = (logits: Tensor, of: () => Tensor = () => logits): Tensor =>
  decided(() => [argmax(of(), { axis: 2 })])[0]!;

/**
 * Whether so many rows read the weights of their units alone. Measured, gathered against whole: blocks of 4, 1,024 × 4,096: 0.5 of the time for a
 * row, 1.0 for 16, 2.0 for 1,024; blocks of 8: 0.4, 0.6, 1.0; of 32: 0.1, 0.3, 0.4.
 */
const gathers = (rows: number, block: number): boolean => rows < 16 || block >= 8;

const reasonsAgainstBlock = (hidden: number, block: number): readonly string[] =>
  hidden % block === 0 ? [] : [`block ${block} must divide the ${hidden} hidden units: change one of them`];

export const scaling = defineFeedForward({
  name: 'scaling',
  summary:
    'Of every block of hidden units a token has one, chosen by a controller of low rank: decoding reads as many times fewer weights.',
  paper: {
    authors: 'Jaszczur et al.',
    title: 'Sparse is Enough in Scaling Transformers',
    year: 2021,
    arxiv: '2111.12763',
  },
  formula: 'activation(x·W₁ᵀ ⊙ m)·W₂ + b₂, m = 1 at argmax of each block of x·M₁·M₂ + b, else 0',
  relativeToPaper:
    'outside of training weights are gathered, but for 16 rows or more with blocks of fewer than 8 units; units are numbered alike in both products.',
  options: {
    block: integer({ min: 1, default: 32, help: 'units of a block, of which a token has one' }),
    rank: integer({ min: 1, default: 64, help: 'size between the two products of the controller' }),
    temperature: number({ min: 0, default: 0.1, help: 'of the Gumbel noise of training' }),
    quantProb: number({
      min: 0,
      max: 1,
      default: 0.3,
      help: 'share of training batches in which one unit of a block counts',
    }),
  },
  supports: { gated: false },
  defaults: { activation: 'relu' },
  refuse: ({ hidden }, { block }) => reasonsAgainstBlock(hidden, block),
  cost: ({ features, hidden, length }, { block, rank }) => ({
    multiplyAdds:
      length * (rank * (features + hidden) + (2 * features * hidden) / (gathers(length, block) ? block : 1)),
  }),
  create: ({ features, hidden, activation, share }, options) =>
    new OneOfBlocks(features, hidden, { ...options, activation, deviation: share / Math.sqrt(hidden) }),
});
