import { mechanism as find } from '../attention/index.js';
import { CapabilityError, OptionError } from '../core/errors.js';
import { VOCABULARY } from '../data/index.js';
import type { Device } from '../devices/device.js';
import { everyLayer, inChunksOf, layersOf, type LayerConfig } from '../models/config-layers.js';
import { readConfig, type LanguageModel, type ModelConfig, type Transformer } from '../models/index.js';
import { document, type Mask } from '../masks/index.js';
import { seesBothSides } from '../models/create.js';
import type { Context } from '../nn/index.js';
import { mul } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import type { Json } from '../train/checkpoint/index.js';
import type { Features } from './features.js';
import { withConfig } from './swap.js';
import { textNames, trainedOn } from './trained-on.js';

export interface ModelFeatureOptions {
  /** From 1; default the middle one, the earlier of two. */
  readonly layer?: number | undefined;
  /** Query heads, from 1; default all. */
  readonly heads?: readonly number[] | undefined;
}

/** A trained model, as `loadModel` gives it. */
export interface TrainedModel {
  readonly model: LanguageModel;
  readonly config: ModelConfig;
  readonly json?: Readonly<Record<string, Json>>;
}

/** Which layer and heads are taken, both from 1. */
export interface FeatureSource {
  readonly layer: number;
  readonly heads: readonly number[];
  readonly headDim: number;
}

/** Rows of feed-forward layers whose hidden activations live at a time. */
const CHUNK = 4096;

/**
 * The layer and the heads that options name.
 *
 * @throws OptionError with every reason at once: a layer or head that the model does not have, more positions than it has; CapabilityError
 * for a model that has memory, or whose tokens are no bytes.
 */
export function featureSource(
  config: ModelConfig,
  { layer = Math.ceil(config.layers / 2), heads }: ModelFeatureOptions,
  length: number,
): FeatureSource {
  const tokens = config.outputs ?? config.vocabulary;
  if ((config.kind !== 'decoder' && config.kind !== 'encoder') || tokens !== VOCABULARY) {
    throw new CapabilityError(
      `model features: takes a decoder or an encoder over bytes; got kind ${config.kind} of ${tokens} tokens. Use text features.`,
    );
  }
  const reasons: string[] = [];
  const isOneOf = (value: number, most: number): boolean => Number.isInteger(value) && value >= 1 && value <= most;
  if (!isOneOf(layer, config.layers)) reasons.push(`the model has layers 1 to ${config.layers}; got ${layer}`);
  const all = Array.from({ length: config.heads }, (_, i) => i + 1);
  const wanted = heads ?? all;
  const wrong = wanted.filter((head) => !isOneOf(head, config.heads));
  if (wrong.length > 0) reasons.push(`its layers have heads 1 to ${config.heads}; got ${wrong.join(', ')}`);
  if (wanted.length === 0 || new Set(wanted).size < wanted.length) {
    reasons.push(`each head once, and at least one; got ${wanted.join(', ') || 'none'}`);
  }
  if (config.position.method === 'learned' && length > config.length) {
    reasons.push(`the model learned ${config.length} positions, so lengths are at most that; got ${length}`);
  }
  const mixer = layersOf(config)[layer - 1]?.mixer;
  if (mixer !== undefined)
    reasons.push(`layer ${layer} mixes by ${mixer.name}, which has no queries and keys; take another`);
  if (reasons.length > 0) throw new OptionError(`model features: ${reasons.join('; ')}.`);
  return { layer, heads: wanted, headDim: config.headDim };
}

/**
 * What the attention of one layer of a trained model is given at a text: queries, keys and values `[heads, n, headDim]` of every byte,
 * turned to their positions, the keys and values of a group repeated for each of its queries' heads. Queries of a layer with a scale of its
 * own are given so that 1/√headDim is that scale; caps and sinks of its scores are left out.
 *
 * The layers below work as they were trained at every n. Where a decoder attends to all before, they attend to the last `config.length`
 * keys only, as many as in training (a sliding window with that radius), and the features of a prefix are a prefix of the features;
 * those of an encoder read stretches of `config.length` bytes apart from each other. Up to that length all is the same.
 *
 * @throws as `featureSource` does, and what the model's mechanism throws for a length that it does not take.
 */
export async function modelFeatures(
  device: Device,
  trained: TrainedModel,
  bytes: Uint8Array,
  options: ModelFeatureOptions = {},
): Promise<Features> {
  const source = featureSource(trained.config, options, bytes.length);
  const { q, k, v } = await projected(device, trained, bytes, source.layer);
  const { heads, kvHeads, headDim } = trained.config;
  const length = bytes.length;
  const chosen = (x: ArrayLike<number>, headOf: (head: number) => number): Float32Array => {
    const out = new Float32Array(source.heads.length * length * headDim);
    const size = length * headDim;
    const all = x as Float32Array;
    source.heads.forEach((head, i) => out.set(all.subarray(headOf(head) * size, (headOf(head) + 1) * size), i * size));
    return out;
  };
  const ofQuery = (head: number): number => head - 1;
  const ofGroup = (head: number): number => Math.floor(((head - 1) * kvHeads) / heads);
  return {
    problem: {
      heads: source.heads.length,
      length,
      headDim,
      q: chosen(q, ofQuery),
      k: chosen(k, ofGroup),
      v: chosen(v, ofGroup),
    },
    note: noteOf(trained, source, length),
    trainedTo: trained.config.length,
  };
}

/** Of all heads of a layer, `[1, H or G, n, D]`. */
async function projected(
  device: Device,
  { model: trained, config }: TrainedModel,
  bytes: Uint8Array,
  layer: number,
): Promise<Readonly<Record<'q' | 'k' | 'v', ArrayLike<number>>>> {
  const chunk = Math.min(config.feedForward.chunk || CHUNK, CHUNK);
  // layers above the wanted one are left away
  const near = { name: 'sliding-window', options: { radius: config.length - 1 } };
  const causal = !seesBothSides(config);
  const whole = everyLayer(inChunksOf(config, chunk), (own) =>
    own.mixer === undefined ? { mechanism: causal && attendsToAll(own) ? near : own.mechanism } : {},
  );
  const apart = causal || bytes.length <= config.length ? undefined : stretches(bytes.length, config.length);
  const below = { ...whole, layers: layer };
  const { model } = withConfig(trained, readConfig(below), { device });
  try {
    model.eval();
    const { stack } = model as Transformer;
    const last = stack.layers.at(-1)!.attention!;
    let taken: Readonly<Record<'q' | 'k' | 'v', Tensor>>;
    const attend: Context['attend'] = (mixer, rows) => {
      if (mixer !== last) return mixer.forward(rows, apart ? { mask: apart } : {});
      const { q, k, v } = last.project(rows);
      // whoever reads them divides their products by √headDim
      const { scale } = layersOf(config)[layer - 1]!.attention ?? {};
      taken = keep({ q: scale === undefined ? q : mul(q, scale * Math.sqrt(last.headDim)), k, v });
      // what comes after is thrown away
      return rows;
    };
    scope(() => {
      const tokens = tensor(Int32Array.from(bytes), [1, bytes.length], { device });
      noGradient(() => (model as Transformer).hidden(tokens, { attend }));
    });
    try {
      return { q: await taken!.q.data(), k: await taken!.k.data(), v: await taken!.v.data() };
    } finally {
      disposeAll(taken!);
    }
  } finally {
    model.dispose();
  }
}

/** Bytes that see each other: those of one stretch. */
const stretches = (bytes: number, length: number): Mask =>
  document(Int32Array.from({ length: bytes }, (_, i) => Math.floor(i / length)));

const attendsToAll = ({ mechanism }: LayerConfig): boolean => find(mechanism.name).definition.exactness === 'exact';

function noteOf({ model, config, json = {} }: TrainedModel, { layer, heads }: FeatureSource, length: number): string {
  const causal = !seesBothSides(config);
  const parameters = [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0);
  const { texts } = trainedOn(json);
  const some =
    heads.length === config.heads
      ? ''
      : ` (head${heads.length === 1 ? '' : 's'} ${heads.join(', ')} of ${config.heads})`;
  const sentences = [
    `Queries, keys and values are those of layer ${layer} of ${config.layers}${some} of a byte model of ${millions(parameters)} parameters` +
      `${texts === undefined ? '' : `, trained on ${textNames(texts)}`}, at this text. ${causal ? 'The model is causal.' : 'The model sees all pairs.'}`,
  ];
  if (length > config.length) {
    const below =
      layer > 1 &&
      layersOf(config)
        .slice(0, layer - 1)
        .some(attendsToAll)
        ? causal
          ? 'the layers below attend to as many keys at every length, and '
          : 'the layers below read stretches of that length, and '
        : '';
    sentences.push(`It was trained at length ${config.length}: ${below}pairs further apart are new to it.`);
  }
  const { method } = config.position;
  if (method === 'alibi' || method === 't5' || method === 'transformer-xl') {
    sentences.push(`What its position method (${method}) adds to the scores is left out.`);
  }
  return sentences.join(' ');
}

function millions(count: number): string {
  if (count < 1e6) return `${Number((count / 1e3).toPrecision(2))} k`;
  return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} M`;
}
