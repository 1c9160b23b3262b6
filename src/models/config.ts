import { pluginOf } from '../attention/registry.js';
import { isPlainObject as isObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { checkValue, plainObject, reasonsAgainst } from '../core/requirements.js';
import { mixer, pluginOfMixer } from '../nn/mixers/registry.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { layersOf, mixerSizes, splitLayers, withLayer } from './config-layers.js';
import { poolingChange, poolingOf, poolingReasons, poolsBy } from './config-pooling.js';
import { decoderJson, decoderSection, type HalfJson } from './config-decoder.js';
import { contradictionsOf, feedForwardReasons, mechanismReasons, mixerReasons } from './config-reasons.js';
import { feedForwardSection, readSection, sections, top, type Given } from './config-sections.js';
import { sized, sizesOf, withSizes } from './config-sizes.js';
import { loraOf } from './adapt.js';
import { headOf } from './head.js';
import {
  layerSections,
  remembers,
  seesBothSides,
  type LayerConfig,
  type ModelConfig,
  type ModelKind,
  type ScoringConfig,
} from './model-config.js';
import { projectionOf, projectionReasons } from './config-projection.js';
import { rowCounts, type RowChange } from './row-counts.js';

export {
  kinds,
  positionNames,
  residualKinds,
  type ModelConfig,
  type ModelKind,
  type ResidualKind,
} from './model-config.js';

/**
 * A complete configuration from JSON: what is left out gets its default, and `"rope"` may stand for `{ "method": "rope" }`. Layers
 * that are not all alike are listed by `layers`, `pattern` or `schedules`; a layer inherits what it does not set from the model. Of an
 * encoder–decoder all this is of both, but for what `decoder` sets of the second.
 *
 * @throws OptionError with every reason at once: keys that are unknown, values out of range, choices that contradict each other.
 */
export function readConfig(json: unknown): ModelConfig {
  const who = 'model configuration';
  if (!isObject(json)) throw new OptionError(`${who}: must be an object, such as { "width": 128 }.`);
  const { decoder, ...own } = json;
  const half = splitLayers(who, own);
  const config = readHalf(who, half);
  if (config.kind !== 'encoder-decoder') {
    if (decoder === undefined) return config;
    throw new OptionError(`${who}: decoder is of kind "encoder-decoder"; got kind "${config.kind}".`);
  }
  const ofDecoder = `${who}: decoder`;
  const other = readHalf(ofDecoder, decoderJson(ofDecoder, half, decoder, Object.keys(top)), true);
  return decoder === undefined ? config : { ...config, decoder: decoderSection(other) };
}

/** The layers of a model; of an encoder–decoder, those of one of the two. */
function readHalf(who: string, { rest, pattern }: HalfJson, causal?: boolean): ModelConfig {
  const config = readAlike(who, rest, causal);
  const stray = ['pooling', 'as', 'sizes'].filter((name) => rest[name] !== undefined);
  if (stray.length > 0) throw new OptionError(`${who}: ${stray.join(' and ')} is of a layer: give it in layers.`);
  if (pattern === undefined) return withRows(who, config, causal);
  const layers: LayerConfig[] = [];
  pattern.forEach((entry, i) => {
    layers.push(readLayer(`${who}: layer ${i} of the pattern`, rest, entry, layers, causal));
  });
  const added = (method: string): boolean => method === 'sinusoidal' || method === 'learned';
  const other = layers.find(({ position }) => added(position.method) && position.method !== config.position.method);
  if (other !== undefined) {
    throw new OptionError(
      `${who}: position ${other.position.method} is added before the first layer, so it is the model's, not a layer's.`,
    );
  }
  return withRows(who, { ...config, pattern: layers }, causal);
}

/** What a layer is, of the layers before it. */
function readLayer(
  who: string,
  rest: Given,
  entry: Given,
  before: readonly LayerConfig[],
  causal?: boolean,
): LayerConfig {
  const { sizes: _, ...alike } = withLayer(who, rest, entry);
  const json =
    entry['as'] === undefined
      ? withSizes({ ...alike, ...(_ !== undefined && { sizes: _ }) }, rest, before.at(-1))
      : alike;
  const own = readAlike(who, json, causal);
  const { as } = own;
  if (as === undefined) {
    const named = layerSections.map((name) => [name, own[name]] as const);
    return Object.fromEntries(named.filter(([, section]) => section !== undefined)) as unknown as LayerConfig;
  }
  const same = before[as];
  // what was read before has its sections beside it, as they are there
  const others = Object.keys(entry).filter((name) => name !== 'as' && isStrange(entry[name], same, name));
  if (same === undefined || same.as !== undefined || others.length > 0) {
    throw new OptionError(
      `${who}: as is the number of a layer before with weights of its own, and says all of this one; got ${as}` +
        `${others.length > 0 ? ` beside ${others.join(', ')}: leave that out` : ''}.`,
    );
  }
  // what pools does so once
  const { pooling, ...unpooled } = same;
  return { ...unpooled, ...(pooling && !poolsBy(pooling) && { pooling }), as };
}

const isStrange = (value: unknown, same: LayerConfig | undefined, name: string): boolean =>
  JSON.stringify(value) !== JSON.stringify((same as Given | undefined)?.[name]);

/** @throws OptionError where a layer is given other rows than it takes. */
function withRows(who: string, config: ModelConfig, causal = !seesBothSides(config)): ModelConfig {
  const layers = layersOf(config);
  const reasons = poolingReasons(layers);
  if (reasons.length > 0) throw new OptionError(`${who}: ${reasons.join('; ')}.`);
  const changes = layers.map((layer): RowChange => {
    const { mixer: own, pooling } = layer;
    if (own) return mixer(own.name).create(mixerSizes(sized(config, layer), causal), own.options);
    return poolingChange(pooling);
  });
  try {
    rowCounts(changes, config.length);
  } catch (error) {
    throw new OptionError(`${who}: ${(error as Error).message}`);
  }
  return config;
}

/**
 * A configuration that a model is made of: one that `readConfig` gave, or with changes to such a one that it would take.
 *
 * @throws OptionError for one that is not complete; else as `readConfig`.
 */
export function checkConfig(who: string, config: ModelConfig): void {
  checkValue(who, 'config', config, plainObject);
  const missing = Object.keys(readConfig(config)).filter((name) => !Object.hasOwn(config, name));
  if (missing.length === 0) return;
  throw new OptionError(
    `${who}: takes a whole configuration, as readConfig gives it; ${missing.join(', ')} is missing.`,
  );
}

/** Of a model whose layers are all alike. */
function readAlike(who: string, json: Given, asDecoder?: boolean): ModelConfig {
  const reasons = [...reasonsAgainst(json, top)];
  const own = Object.fromEntries(
    Object.entries(sections).map(([name, of]) => [name, readSection(name, of, json, reasons)]),
  );
  if (reasons.length > 0) throw new OptionError(`${who}: ${reasons.join('; ')}.`);
  const config = complete(json, own);
  const causal = asDecoder ?? !seesBothSides(config);
  const contradictions = [
    ...contradictionsOf(config, own),
    ...(config.mixer ? mixerReasons(config, config.mixer, causal) : mechanismReasons(config, causal)),
    ...feedForwardReasons(config, causal),
    ...projectionReasons(config),
  ];
  if (contradictions.length > 0) throw new OptionError(`${who}: ${contradictions.join('; ')}.`);
  return config;
}

/** What is given over the defaults. The types hold because every value met its requirement. */
function complete(json: Given, given: Readonly<Record<string, Given>>): ModelConfig {
  const rest = Object.fromEntries(Object.entries(json).filter(([name]) => !Object.hasOwn(sections, name)));
  const kind = (rest['kind'] ?? 'decoder') as ModelKind;
  const recurrent = remembers({ kind });
  const width = (rest['width'] ?? 128) as number;
  const heads = (rest['heads'] ?? 4) as number;
  const length = (rest['length'] ?? 256) as number;
  return {
    kind,
    vocabulary: 256,
    length,
    layers: 4,
    width,
    heads,
    kvHeads: heads,
    headDim: width / heads,
    dropout: 0,
    bias: false,
    tied: true,
    lossChunk: 0,
    ...rest,
    mechanism: mechanismOf({ name: 'flash', options: {}, ...given['mechanism'] }),
    ...(json['sizes'] !== undefined && { sizes: sizesOf({ ...rest, width, heads }, given['sizes']!) }),
    ...(json['mixer'] !== undefined && { mixer: mixerOf({ name: '', options: {}, ...given['mixer'] }) }),
    ...(json['pooling'] !== undefined && { pooling: poolingOf(given['pooling']!) }),
    ...(json['projection'] !== undefined && { projection: projectionOf(given['projection']!, heads) }),
    ...(json['attention'] !== undefined && { attention: given['attention'] as ScoringConfig }),
    ...(json['embedding'] !== undefined && { embedding: given['embedding']! }),
    ...(json['prediction'] !== undefined && { prediction: given['prediction']! }),
    position: { method: recurrent ? 'transformer-xl' : 'rope', ...given['position'] },
    feedForward: feedForwardSection(width, given['feedForward']!),
    norm: { kind: 'rms', place: 'pre', epsilon: NORM_EPSILON, ...given['norm'] },
    residual: { kind: 'plain', every: 0, ...given['residual'] },
    ...(json['head'] !== undefined && { head: headOf(kind, given['head']!) }),
    ...(json['lora'] !== undefined && { lora: loraOf(given['lora']!) }),
    memory: {
      length: recurrent ? length : 0,
      compressed: kind === 'compressive-transformer' ? Math.ceil(length / 4) : 0,
      ratio: 4,
      ...given['memory'],
    },
  };
}

/** Where it comes from now counts, not where it came from when it was written. */
function mechanismOf(given: ModelConfig['mechanism']): ModelConfig['mechanism'] {
  const plugin = pluginOf(given.name);
  return plugin === undefined ? given : { ...given, plugin };
}

function mixerOf(given: NonNullable<ModelConfig['mixer']>): NonNullable<ModelConfig['mixer']> {
  const plugin = pluginOfMixer(given.name);
  return plugin === undefined ? given : { ...given, plugin };
}
