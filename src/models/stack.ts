import { mechanism, normalOf } from '../attention/index.js';
import { add, mul } from '../ops/index.js';
import {
  Block,
  ModuleList,
  normOf,
  Positions,
  checkpointed,
  reversible,
  type AttentionOptions,
  type Context,
  Module,
} from '../nn/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './config.js';

export interface StackOptions {
  readonly causal: boolean;
  /** Whether each layer reads an encoder's output too. */
  readonly cross: boolean;
  /** Whether keys and values are projected apart from queries, since they may be of other rows; default false. */
  readonly separate?: boolean;
}

/** The layers of a configuration: `[B, L, width] → [B, L, width]`, normalised at the end. */
export class Stack extends Module {
  readonly positions: Positions;
  readonly layers: readonly Block[];
  readonly #norm;

  constructor(
    readonly config: ModelConfig,
    options: StackOptions,
  ) {
    super();
    const { width, heads, headDim, length, position } = config;
    this.positions = this.child(
      'positions',
      new Positions(position, { features: width, heads, headDim, length, causal: options.causal }),
    );
    const blocks = Array.from({ length: config.layers }, () => blockOf(config, this.positions, options));
    this.layers = this.child('layers', new ModuleList(blocks)).items;
    // after post-norm layers there is nothing left to normalise
    const { kind, place, epsilon } = config.norm;
    this.#norm = place === 'pre' ? this.child('norm', normOf(kind, width, epsilon)) : undefined;
  }

  forward(x: Tensor, context: Context = {}): Tensor {
    return scope(() => this.finish(this.#through(x, context)));
  }

  /** The norm after the last layer. */
  finish(x: Tensor): Tensor {
    return this.#norm?.forward(x) ?? x;
  }

  #through(x: Tensor, context: Context): Tensor {
    const { kind, every } = this.config.residual;
    if (kind === 'reversible') return this.#reversed(x, context);
    const { encoded } = context;
    const layers = this.layers.map((layer) => ({
      modules: [layer, this.positions],
      forward: (rows: Tensor, source?: Tensor) => layer.forward(rows, { ...context, encoded: source }),
    }));
    const size = kind === 'plain' ? layers.length : Math.max(1, every);
    return checkpointed(layers, size, x, encoded ? [encoded] : []);
  }

  /** Both streams begin as x, and their mean is the result. (Kitaev et al. 2020, arXiv 2001.04451, section 3, has them side by side.) */
  #reversed(x: Tensor, context: Context): Tensor {
    const layers = this.layers.map((layer) => ({
      modules: [layer, this.positions],
      f: (rows: Tensor) => layer.mix(rows, context),
      g: (rows: Tensor) => layer.feed(rows, context),
    }));
    return scope(() => {
      const [y1, y2] = reversible(layers, x, x);
      return mul(add(y1, y2), 0.5);
    });
  }
}

function blockOf(config: ModelConfig, positions: Positions, { causal, cross, separate }: StackOptions): Block {
  const { width, heads, kvHeads, headDim, length, bias, layers, dropout } = config;
  const { hidden, activation, gated, chunk } = config.feedForward;
  // what 2·layers branches add to the stream has the variance of one branch together (Radford et al. 2019, GPT-2)
  const share = 1 / Math.sqrt(2 * layers);
  const common = { heads, kvHeads, headDim, length, bias, outInit: normalOf(share / Math.sqrt(heads * headDim)) };
  const attention: AttentionOptions = {
    ...common,
    causal,
    ...(separate && { separate }),
    positions,
    mechanism: mechanism(config.mechanism.name),
    settings: config.mechanism.options,
  };
  return new Block(width, {
    attention,
    ...(cross && { cross: { ...common, causal: false, mechanism: mechanism('flash'), separate: true } }),
    feedForward: {
      hidden,
      activation,
      gated,
      ...(chunk > 0 && { chunk }),
      outInit: normalOf(share / Math.sqrt(hidden)),
    },
    residual: { norm: config.norm.kind, normPlace: config.norm.place, epsilon: config.norm.epsilon, dropout },
  });
}
