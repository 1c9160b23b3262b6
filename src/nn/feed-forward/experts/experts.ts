import { constantOf, learned, learnedMatrix, normalOf } from '../../../attention/parameters.js';
import { ShapeError } from '../../../core/errors.js';
import { show } from '../../../core/shape.js';
import { withoutPadding } from '../../../attention/patterns/without-padding.js';
import { add, cast, gather, groupedMatmul, matmul, mul, reshape, sigmoid, weighRows } from '../../../ops/index.js';
import { jitter } from '../../../ops/jitter.js';
import { scope, type Tensor } from '../../../tensor/index.js';
import { activations, gate } from '../../activation.js';
import { checkBranch, type BranchContext, type FeedForward } from '../../layer.js';
import { Dropout } from '../../dropout.js';
import { Linear } from '../../linear.js';
import { Module } from '../../module.js';
import { RmsNorm } from '../../norm.js';
import { observed } from '../../observe.js';
import type { Outcome } from '../../outcome.js';
import type { Parameter } from '../../parameter.js';
import { stepSeed } from '../../step-seed.js';
import { storedAs } from '../../stored.js';
import type { FeedForwardSizes } from '../define.js';
import { DenseFeedForward } from '../dense.js';
import { Groups, type GroupOptions } from './groups.js';
import { route, type Order, type Route, type RoutePolicy } from './route.js';
import { lossesOf, statisticsOf, type RouterLosses } from './says.js';

/** Tokens that an expert takes, as a multiple of its even share. */
export interface Capacity {
  readonly training: number;
  readonly evaluation: number;
  /** Tokens that it takes in any case. */
  readonly least: number;
  /** In place of `evaluation` and `least`, outside of training: of all tokens of a group, padding too, so large a part, rounded up. */
  readonly share?: number;
}

export interface ExpertsOptions extends Omit<RoutePolicy, 'capacity'>, GroupOptions, RouterLosses {
  /** Undefined: an expert takes all that choose it. */
  readonly capacity: Capacity | undefined;
  /** ε of the noise on what the router reads, in training. */
  readonly jitter: number;
  /** Weights begin as N(0, initScale / inputs). */
  readonly initScale: number;
  /** Units of a dense layer that all tokens go through beside the experts; 0: none. */
  readonly shared: number;
  /** Whether a gate of each token, `sigmoid(x·w)`, multiplies what the shared layer gives. */
  readonly sharedGate: boolean;
  /** Part of what experts give that is dropped in training, and by which it is made smaller otherwise; default 0. */
  readonly dropout?: number;
  /** Whether a dense layer of as many units as an expert has comes before the experts, or after; default neither. */
  readonly dense?: 'none' | 'before' | 'after';
}

/**
 * A feed-forward layer of E experts, of which a router picks few for each token: `Σ_e g_e(x)·FFN_e(x)` over the experts that x goes to,
 * `g` from `softmax(x·W_r)`, f32. What an expert has no room for gives 0: the residual connection carries it on. Tokens are sorted by their
 * expert, and every expert's are one part of the same product.
 */
export class Experts extends Module implements FeedForward {
  readonly router: Parameter;
  readonly gate: Parameter | undefined;
  readonly up: Parameter;
  readonly down: Parameter;
  /** Biases of the experts' products, `[E, units]`, where they have some. */
  readonly upBias: Parameter | undefined;
  readonly downBias: Parameter | undefined;
  readonly #dropout: Dropout | undefined;
  readonly shared: DenseFeedForward | undefined;
  readonly #sharedGate: Linear | undefined;
  readonly dense: DenseFeedForward | undefined;
  readonly #denseNorm: RmsNorm | undefined;

  constructor(
    readonly sizes: FeedForwardSizes,
    readonly options: ExpertsOptions,
  ) {
    super();
    const { features, hidden, gated, activation, share, bias = false } = sizes;
    const { experts, initScale, shared, sharedGate, dense = 'none', dropout = 0 } = options;
    const inner = learnedMatrix([experts, features, hidden], normalOf(Math.sqrt(initScale / features)));
    this.router = this.parameter('router', learned([features, experts], normalOf(Math.sqrt(initScale / features))));
    this.gate = gated ? this.parameter('gate', inner) : undefined;
    this.up = this.parameter('up', inner);
    const outer = normalOf(share * Math.sqrt(initScale / hidden));
    this.down = this.parameter('down', learnedMatrix([experts, hidden, features], outer));
    const biasOf = (name: string, units: number): Parameter | undefined =>
      bias ? this.parameter(name, learned([experts, units], constantOf(0))) : undefined;
    this.upBias = biasOf('upBias', hidden);
    this.downBias = biasOf('downBias', features);
    this.#dropout = dropout > 0 ? this.child('dropout', new Dropout(dropout)) : undefined;
    const besides = (name: string, units: number): DenseFeedForward => {
      const outInit = normalOf(share / Math.sqrt(units));
      return this.child(name, new DenseFeedForward(features, units, { activation, gated, bias: false, outInit }));
    };
    if (shared > 0) {
      this.shared = besides('shared', shared);
      if (sharedGate) this.#sharedGate = this.child('sharedGate', new Linear(features, 1, { bias: false }));
    }
    if (dense !== 'none') {
      this.dense = besides('dense', hidden);
      this.#denseNorm = this.child('denseNorm', new RmsNorm(features));
    }
  }

  /** @throws ShapeError unless x is `[B, L, features]`. */
  forward(x: Tensor, context: BranchContext = {}): Outcome {
    checkBranch('Experts', x, context);
    if (x.rank !== 3 || x.shape[2] !== this.sizes.features) {
      throw new ShapeError(`Experts ${this.path}: x must be [B,L,${this.sizes.features}]; got ${show(x.shape)}.`);
    }
    const { lengths, losses = false } = context;
    return scope(() => {
      const [B, L] = x.shape as [number, number];
      const groups = new Groups(B, L, this.options, lengths);
      const clean = withoutPadding(x, lengths);
      const before = this.options.dense === 'before' ? this.dense!.forward(clean) : undefined;
      const rows = groups.rows(before ? this.#denseNorm!.forward(add(clean, before)) : clean);
      const logits = this.#logits(rows, groups);
      const routed = route(logits, groups, this.#policy(), stepSeed(this, 'route'));
      this.#show(logits, routed);
      const mixed = weighRows(routed.weights, this.#through(rows, routed.order), routed.order.places, {
        sparse: false,
      });
      const own = groups.back(cast(mixed, x.dtype), x);
      const more = before ?? this.#beside(clean, own);
      return {
        stream: more ? add(own, more) : own,
        ...(losses && {
          losses: lossesOf(logits, routed, groups, this.options),
          statistics: statisticsOf(routed, groups),
        }),
      };
    });
  }

  /** What it decided, to whoever is observing: logits, the experts of each token, their weights, and how many chose an expert. */
  #show(logits: Tensor, { indices, weights, chosen }: Route): void {
    for (const [name, x] of Object.entries({ logits, indices, weights, chosen }))
      observed(`${this.path}.router.${name}`, x);
  }

  /** `[G, S, E]`, f32 whatever the rows are stored as. */
  #logits(rows: Tensor, groups: Groups): Tensor {
    const { jitter: epsilon, experts } = this.options;
    const step = stepSeed(this, 'jitter');
    const read = cast(rows, 'f32');
    const noisy = step && epsilon > 0 ? jitter(read, { epsilon, ...step }) : read;
    return reshape(matmul(noisy, this.router.value), [groups.count, groups.size, experts]);
  }

  #policy(): RoutePolicy {
    const { capacity, experts } = this.options;
    if (capacity === undefined) return { ...this.options, capacity };
    const { training, evaluation, least, share } = capacity;
    if (this.training === undefined && share !== undefined) {
      return { ...this.options, capacity: (_, all) => Math.ceil(share * all) };
    }
    const factor = this.training === undefined ? evaluation : training;
    return { ...this.options, capacity: (tokens) => roomFor(tokens, factor, experts, least) };
  }

  /** Each row through its expert, sorted: `[G·S·k, features]`. */
  #through(rows: Tensor, { tokens, ends }: Order): Tensor {
    const { activation } = this.sizes;
    const own = gather(rows, tokens);
    const stored = storedAs(rows);
    const hidden = this.gate
      ? gate(
          groupedMatmul(own, this.gate.value, ends, stored),
          groupedMatmul(own, this.up.value, ends, stored),
          activation,
        )
      : groupedMatmul(own, this.up.value, ends, {
          activation: activations[activation],
          ...stored,
          ...(this.upBias && { bias: this.upBias.value }),
        });
    const given = groupedMatmul(hidden, this.down.value, ends, {
      ...stored,
      ...(this.downBias && { bias: this.downBias.value }),
    });
    if (this.#dropout === undefined) return given;
    return this.training === undefined ? mul(given, 1 - this.options.dropout!) : this.#dropout.forward(given);
  }

  /** What a dense layer after the experts gives, or one beside them. */
  #beside(x: Tensor, own: Tensor): Tensor | undefined {
    if (this.dense) return this.dense.forward(this.#denseNorm!.forward(add(x, own)));
    const all = this.shared?.forward(x);
    return all && this.#sharedGate ? mul(all, sigmoid(this.#sharedGate.forward(x))) : all;
  }
}

/** Tokens that an expert takes of so many: never more than there are, and one in any case, so that a step of decoding has room. */
export const roomFor = (tokens: number, factor: number, experts: number, least: number): number =>
  Math.min(tokens, Math.max(1, least, Math.floor((tokens * factor) / experts)));
