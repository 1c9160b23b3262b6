import { checkValues, flag } from '../core/requirements.js';
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
import { checkContext } from '../nn/block.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import { layersOf, type LayerConfig } from './config-layers.js';
import { checkConfig, type ModelConfig } from './config.js';

export interface StackOptions {
  readonly causal: boolean;
  /** Whether each layer reads an encoder's output too. */
  readonly cross: boolean;
  /** Whether keys and values are projected apart from queries, since they may be of other rows; default false. */
  readonly separate?: boolean;
}

/** The layers of a configuration: `[B, L, width] → [B, L, width]`, normalised at the end. */
export class Stack extends Module {
  /** Where the tokens of the model are; layers that see it otherwise have positions of their own. */
  readonly positions: Positions;
  readonly layers: readonly Block[];
  /** Layers one after the other with residual connections of one kind. */
  readonly #runs: readonly Run[];
  readonly #norm;

  constructor(
    readonly config: ModelConfig,
    options: StackOptions,
  ) {
    super();
    checkConfig('Stack', config);
    checkValues('Stack', options, { causal: flag, cross: flag, separate: flag }, ['causal', 'cross']);
    const { width, heads, headDim, length } = config;
    const made = new Map<string, Positions>();
    const positionsOf = ({ position }: Pick<ModelConfig, 'position'>): Positions => {
      const key = JSON.stringify(position);
      const sizes = { features: width, heads, headDim, length, causal: options.causal };
      const positions = made.get(key) ?? new Positions(position, sizes);
      made.set(key, positions);
      return positions;
    };
    this.positions = this.child('positions', positionsOf(config));
    const layers = layersOf(config);
    const placed = layers.map((layer) => ({ layer, positions: positionsOf(layer) }));
    const others = [...made.values()].slice(1);
    if (others.length > 0) this.child('otherPositions', new ModuleList(others));
    const blocks = placed.map(({ layer, positions }) => blockOf(config, layer, positions, options));
    this.layers = this.child('layers', new ModuleList(blocks)).items;
    this.#runs = runsOf(layers, (i) => [this.layers[i]!, placed[i]!.positions]);
    // after a post-norm layer there is nothing left to normalise
    const { kind, place, epsilon } = layers.at(-1)!.norm;
    this.#norm = place === 'pre' ? this.child('norm', normOf(kind, width, epsilon)) : undefined;
  }

  forward(x: Tensor, context: Context = {}): Tensor {
    commonDevice('Stack', [x]);
    checkContext('Stack', context);
    return scope(() => this.finish(this.#through(x, context)));
  }

  /** The norm after the last layer. */
  finish(x: Tensor): Tensor {
    commonDevice('Stack', [x]);
    return this.#norm?.forward(x) ?? x;
  }

  #through(x: Tensor, context: Context): Tensor {
    return this.#runs.reduce((stream, run) => {
      const next = run.residual.kind === 'reversible' ? reversed(run, stream, context) : plain(run, stream, context);
      // what is between two runs is kept by the tape where it is needed
      if (stream !== x && stream !== next) stream.dispose();
      return next;
    }, x);
  }
}

interface Run {
  readonly residual: ModelConfig['residual'];
  readonly layers: readonly { readonly block: Block; readonly modules: readonly Module[] }[];
}

function runsOf(layers: readonly LayerConfig[], modulesOf: (index: number) => readonly [Block, Positions]): Run[] {
  const runs: { residual: ModelConfig['residual']; layers: Run['layers'][number][] }[] = [];
  layers.forEach(({ residual }, i) => {
    const [block, positions] = modulesOf(i);
    const last = runs.at(-1);
    const own = { block, modules: [block, positions] };
    if (last?.residual.kind === residual.kind && last.residual.every === residual.every) last.layers.push(own);
    else runs.push({ residual, layers: [own] });
  });
  return runs;
}

function plain({ residual, layers }: Run, x: Tensor, context: Context): Tensor {
  const { encoded } = context;
  const steps = layers.map(({ block, modules }) => ({
    modules,
    forward: (rows: Tensor, source?: Tensor) => block.forward(rows, { ...context, encoded: source }),
  }));
  const size = residual.kind === 'plain' ? layers.length : Math.max(1, residual.every);
  return checkpointed(steps, size, x, encoded ? [encoded] : []);
}

/** Both streams begin as x, and their mean is the result. (Kitaev et al. 2020, arXiv 2001.04451, section 3, has them side by side.) */
function reversed({ layers }: Run, x: Tensor, context: Context): Tensor {
  const steps = layers.map(({ block, modules }) => ({
    modules,
    f: (rows: Tensor) => block.mix(rows, context),
    g: (rows: Tensor) => block.feed(rows, context),
  }));
  return scope(() => {
    const [y1, y2] = reversible(steps, x, x);
    return mul(add(y1, y2), 0.5);
  });
}

function blockOf(
  config: ModelConfig,
  layer: LayerConfig,
  positions: Positions,
  { causal, cross, separate }: StackOptions,
): Block {
  const { width, heads, kvHeads, headDim, length, bias, layers, dropout } = config;
  const { hidden, activation, gated, chunk } = layer.feedForward;
  // what 2·layers branches add to the stream has the variance of one branch together (Radford et al. 2019, GPT-2)
  const share = 1 / Math.sqrt(2 * layers);
  const common = { heads, kvHeads, headDim, length, bias, outInit: normalOf(share / Math.sqrt(heads * headDim)) };
  const attention: AttentionOptions = {
    ...common,
    causal,
    ...(separate && { separate }),
    positions,
    mechanism: mechanism(layer.mechanism.name),
    settings: layer.mechanism.options,
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
    residual: { norm: layer.norm.kind, normPlace: layer.norm.place, epsilon: layer.norm.epsilon, dropout },
  });
}
