import { callable, checkValue, checkValues, flag, wholeFrom } from '../core/requirements.js';
import { learned, normalOf } from '../attention/index.js';
import { show } from '../core/shape.js';
import { CapabilityError, ShapeError } from '../core/errors.js';
import { add, broadcastTo, concat, slice } from '../ops/index.js';
import {
  Block,
  Module,
  ModuleList,
  normOf,
  Positions,
  type BlockOptions,
  type Context,
  type Outcome,
  type Parameter,
  type PositionSizes,
} from '../nn/index.js';
import { checkContext } from '../nn/layer.js';
import { mixer } from '../nn/mixers/registry.js';
import { observed } from '../nn/observe.js';
import { besideOf, type Beside } from '../nn/outcome.js';
import { pooled, unpooled, type RowPooling } from '../nn/row-pooling.js';
import { commonDevice, records, scope, type Tensor } from '../tensor/index.js';
import { layersOf, type LayerConfig } from './config-layers.js';
import { poolingChange, poolsBefore, poolsBy, stridesOf } from './config-pooling.js';
import { sized } from './config-sizes.js';
import { rowWidth } from './config-ends.js';
import { checkConfig, type ModelConfig } from './config.js';
import { partsOf } from './layer-parts.js';
import { checkLayers, layerState } from './layer-state.js';
import { rowCounts, type RowChange } from './row-counts.js';
import { plain, reversed, runsOf, type Run, type Step } from './runs.js';

export interface StackOptions {
  readonly causal: boolean;
  /** Whether each layer reads an encoder's output too. */
  readonly cross: boolean;
  /** Whether keys and values are projected apart from queries, since they may be of other rows; default false. */
  readonly separate?: boolean;
  /** Makes layer `index` of its parts; default a `Block`. */
  readonly layer?: (features: number, options: BlockOptions, index: number) => Block;
}

/** The layers of a configuration: `[B, L, width] → [B, L′, width]`, normalised at the end. */
export class Stack extends Module {
  /** Where the tokens of the model are; layers that see it otherwise have positions of their own. */
  readonly positions: Positions;
  readonly layers: readonly Block[];
  readonly #runs: readonly Run[];
  readonly #changes: readonly RowChange[];
  /** Of layers that pool and are passed once more: where their rows then are. */
  readonly #again: readonly (Positions | undefined)[];
  /** Of layers before which the stream is pooled. */
  readonly #before: readonly (RowPooling | undefined)[];
  readonly #asPublished: boolean;
  /** `[N, width]`, rows before those of every text. */
  readonly #prefix: Parameter | undefined;
  readonly #norm;

  constructor(
    readonly config: ModelConfig,
    options: StackOptions,
  ) {
    super();
    checkConfig('Stack', config);
    checkValues('Stack', options, { causal: flag, cross: flag, separate: flag, layer: callable }, ['causal', 'cross']);
    const { width, length } = config;
    const made = new Map<string, Positions>();
    const layers = layersOf(config);
    const pooling = layers.map((layer) => poolsBy(layer.pooling)).find((one) => one);
    const { separateClass } = pooling ?? {};
    this.#asPublished = pooling?.asPublished ?? false;
    // distances between blocks have a table of their own
    const positionsOf = (layer: LayerConfig, rows: number, ofBlocks = false): Positions => {
      const { position } = layer;
      // what is added to the embeddings is of tokens
      const stride = position.method === 'rope' || position.method === 'transformer-xl' ? rows : 1;
      const added = position.method === 'learned' || position.method === 'sinusoidal';
      const { width: embedded = width, adaptive } = config.embedding ?? {};
      const features = added && !adaptive ? embedded : width;
      const own = sized(config, layer);
      const ofHeads = added || !layer.sizes ? [] : [own.heads, own.headDim];
      const key = JSON.stringify([position, stride, ...ofHeads, ...(ofBlocks ? ['blocks'] : [])]);
      const { heads, headDim } = added ? config : own;
      const sizes = { features, heads, headDim, length, causal: options.causal, stride };
      const positions = made.get(key) ?? new Positions(position, { ...sizes, ...(separateClass && { separateClass }) });
      made.set(key, positions);
      return positions;
    };
    const { prefix = 0 } = (!options.causal && !options.cross && config.embedding) || {};
    this.#prefix = prefix > 0 ? this.parameter('prefix', learned([prefix, width], normalOf(0.02))) : undefined;
    const { sizes: _, ...model } = config;
    this.positions = this.child('positions', positionsOf(model, 1));
    const strides = stridesOf(layers);
    const placed = layers.map((layer, i) => ({
      layer,
      positions: positionsOf(layer, (poolsBefore(layer.pooling) ? 2 : 1) * strides[i]!),
      ofBlocks:
        layer.attention?.globals && layer.position.method === 't5' ? positionsOf(layer, strides[i]!, true) : undefined,
    }));
    const others = [...made.values()].slice(1);
    if (others.length > 0) this.child('otherPositions', new ModuleList(others));
    const { layer: make = (features, parts) => new Block(features, parts) } = options;
    const blocks: Block[] = [];
    placed.forEach(({ layer, ...positions }, i) =>
      blocks.push(
        blocks[layer.as ?? i] ??
          make(layer.sizes?.from ?? width, partsOf(sized(config, layer), layer, { ...positions, prefix }, options), i),
      ),
    );
    this.layers = this.child('layers', new ModuleList(blocks)).items;
    this.#again = layers.map(({ as }, i) =>
      as !== undefined && poolsBy(layers[as]!.pooling) ? placed[i]!.positions : undefined,
    );
    this.#before = layers.map(({ pooling }) => poolsBefore(pooling));
    this.#changes = layers.map(({ pooling }, i) => {
      if (this.#again[i]) return {};
      if (this.#before[i]) return poolingChange(pooling);
      const { resize, restores } = blocks[i]!.mixer;
      return { ...poolingChange(pooling), resize, restores };
    });
    this.latest = options.causal && layers.some(({ mixer: own }) => own && mixer(own.name).definition.latest);
    this.whole = options.causal && layers.some(({ mixer: own }) => own && mixer(own.name).definition.whole);
    this.#runs = runsOf(layers, this.layers, this.#changes);
    // after a post-norm layer there is nothing left to normalise
    const { kind, place, epsilon, mixing: _mixing, prefix: _prefix, final = true, ...parts } = layers.at(-1)!.norm;
    const last = layers.at(-1)!.sizes?.width ?? rowWidth(config);
    this.#norm = place === 'post' || !final ? undefined : this.child('norm', normOf(kind, last, epsilon, parts));
  }

  /** Whether the rows after the last layer stand for the latest of those that it is given, where they are fewer. */
  readonly latest: boolean;
  /** Whether a layer goes on with a text by computing all of it anew. */
  readonly whole: boolean;

  /** Rows after the last layer. @throws OptionError unless rows is a whole number of at least 1. */
  rowsFor(rows: number): number {
    checkValue('Stack.rowsFor', 'rows', rows, wholeFrom(1));
    return rowCounts(this.#changes, rows).at(-1)!;
  }

  /** The stream after the last layer, normalised, and what the layers gave beside it, states by layer: `recent.0`. */
  forward(x: Tensor, context: Context = {}): Outcome {
    commonDevice('Stack', [x]);
    checkContext('Stack', x, context);
    checkLayers(context.state, this.layers.length);
    if (this.#prefix === undefined) return this.#through(x, context);
    const [rows, width] = this.#prefix.spec.shape as [number, number];
    if (context.mask !== undefined || context.globalTokens !== undefined) {
      throw new CapabilityError(
        `Stack ${this.path}: rows before those of a text take no mask and no global tokens, which name rows; leave them out.`,
      );
    }
    return scope(() => {
      const before = broadcastTo(this.#prefix!.value, [x.shape[0]!, rows, width]);
      const lengths = context.lengths?.map((length) => length + rows);
      const found = this.#through(concat([before, x], { axis: 1 }), { ...context, lengths });
      return { ...found, stream: slice(found.stream, { axis: 1, start: rows }) };
    });
  }

  #through(x: Tensor, context: Context): Outcome {
    return scope(() => {
      const losses = context.losses ?? records([x]);
      const counts = rowCounts(this.#changes, x.shape[1]!);
      const lengths = context.lengths?.map((length) => rowCounts(this.#changes, length));
      const beside: Beside[] = [];
      const earlier: Tensor[] = [];
      let stream = x;
      const rowsOf = (all: readonly number[], layer: number): number =>
        all[this.#changes[layer]!.unpools || this.#before[layer] ? layer + 1 : layer]!;
      for (const run of this.#runs) {
        const { index: first } = run.layers[0]!;
        const { resize, restores, unpools } = this.#changes[first]!;
        if (unpools) {
          // the published code knows no row that was left out
          const before = this.#asPublished ? undefined : lengths?.map((one) => one[first]!);
          const grown = observed(
            `${this.path}.restored`,
            unpooledStream(stream, earlier.splice(0), this.positions.sizes, before),
          );
          if (stream !== x) stream.dispose();
          stream = grown;
        }
        if (resize) earlier.push(stream);
        const before = this.#before[first];
        if (before)
          stream = pooled(
            stream,
            before,
            lengths?.map((one) => one[first]!),
          );
        const restored = restores === undefined ? undefined : earlier.pop();
        const steps = run.layers.map((own, place): Step => {
          if (context.mask !== undefined && (rowsOf(counts, own.index) !== x.shape[1] || (place === 0 && resize))) {
            throw new CapabilityError(
              `Block ${own.block.path}: has other rows than those that mask names; leave the mask out, or the layers that change the number of rows.`,
            );
          }
          return {
            ...own,
            context: {
              ...context,
              losses,
              lengths: lengths?.map((one) => rowsOf(one, own.index)),
              ...(this.#again[own.index] && { again: this.#again[own.index] }),
            },
            state: layerState(context.state, own.index),
            earlier: place === 0 ? restored : undefined,
          };
        });
        const given = context.encoded ? [context.encoded] : [];
        const next =
          run.residual.kind === 'reversible'
            ? reversed(run.residual, steps, stream, given)
            : plain(run.residual, steps, stream, given);
        // what is between two runs is kept by the tape where it is needed
        if (stream !== x && stream !== next.stream && !earlier.includes(stream)) stream.dispose();
        ({ stream } = next);
        beside.push(next);
      }
      if (stream.shape[1] !== counts.at(-1)) {
        throw new ShapeError(`layers: they give ${counts.at(-1)} rows for ${x.shape[1]}; got ${show(stream.shape)}.`);
      }
      return { ...besideOf(beside), stream: this.#norm?.forward(stream) ?? stream };
    });
  }
}

/** The stream with as many rows as before it was pooled, added to that. */
function unpooledStream(
  stream: Tensor,
  earlier: readonly Tensor[],
  { separateClass = false }: Pick<PositionSizes, 'separateClass'>,
  lengths: readonly number[] | undefined,
): Tensor {
  const [first] = earlier as [Tensor];
  const { length: times } = earlier;
  return scope(() => add(first, unpooled(stream, { times, rows: first.shape[1]!, separateClass, lengths })));
}
