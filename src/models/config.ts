import { mechanism } from '../attention/index.js';
import { pluginOf, reasonAgainstMechanism } from '../attention/registry.js';
import { isPlainObject as isObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import {
  checkValue,
  flag,
  fraction,
  oneOf,
  plainObject,
  positive,
  reasonsAgainst,
  text,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';
import { activations } from '../nn/index.js';
import { mixer, pluginOfMixer, reasonAgainstMixer } from '../nn/mixers/registry.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { layersOf, mixerSizes, splitLayers, withLayer } from './config-layers.js';
import { rowCounts } from './row-counts.js';
import {
  kinds,
  layerSections,
  positionNames,
  residualKinds,
  type LayerConfig,
  type ModelConfig,
  type ModelKind,
} from './model-config.js';

export {
  kinds,
  positionNames,
  residualKinds,
  type ModelConfig,
  type ModelKind,
  type ResidualKind,
} from './model-config.js';

type Given = Readonly<Record<string, unknown>>;
const aName = { ...text, must: 'a name' };
const aPath = { ...text, must: 'the path of a file' };
/** A section that its first word may stand for: `"rope"` for `{ "method": "rope" }`. */
const worded = { must: 'a name or an object', holds: (value: unknown) => typeof value === 'string' || isObject(value) };

const top: Requirements = {
  kind: oneOf(kinds),
  vocabulary: wholeFrom(2),
  length: wholeFrom(1),
  layers: wholeFrom(1),
  // taken apart before the rest is read; named here for who misspells them
  pattern: plainObject,
  schedules: plainObject,
  width: wholeFrom(1),
  heads: wholeFrom(1),
  kvHeads: wholeFrom(1),
  headDim: wholeFrom(1),
  mechanism: worded,
  mixer: worded,
  position: worded,
  feedForward: plainObject,
  norm: plainObject,
  residual: worded,
  dropout: fraction,
  bias: flag,
  tied: flag,
  lossChunk: wholeFrom(0),
  memory: plainObject,
};
const sections: Readonly<Record<string, { readonly word?: string; readonly keys: Requirements }>> = {
  mechanism: {
    word: 'name',
    keys: { name: aName, options: plainObject, plugin: aPath },
  },
  mixer: {
    word: 'name',
    keys: { name: aName, options: plainObject, plugin: aPath },
  },
  position: {
    word: 'method',
    keys: {
      method: oneOf(positionNames),
      base: positive,
      scaling: plainObject,
      buckets: wholeFrom(2),
      maxDistance: wholeFrom(2),
      clamp: wholeFrom(0),
    },
  },
  feedForward: {
    keys: { hidden: wholeFrom(1), activation: oneOf(Object.keys(activations)), gated: flag, chunk: wholeFrom(0) },
  },
  norm: { keys: { kind: oneOf(['layer', 'rms']), place: oneOf(['pre', 'post']), epsilon: positive } },
  residual: { word: 'kind', keys: { kind: oneOf(residualKinds), every: wholeFrom(0) } },
  memory: { keys: { length: wholeFrom(0), compressed: wholeFrom(0), ratio: wholeFrom(1) } },
};
/** Keys of `position` that one method alone takes. */
const ofMethod: Readonly<Record<string, string>> = {
  base: 'rope',
  scaling: 'rope',
  buckets: 't5',
  maxDistance: 't5',
  clamp: 'transformer-xl',
};

/**
 * A complete configuration from JSON: what is left out gets its default, and `"rope"` may stand for `{ "method": "rope" }`. Layers
 * that are not all alike are listed by `layers`, `pattern` or `schedules`; a layer inherits what it does not set from the model.
 *
 * @throws OptionError with every reason at once: keys that are unknown, values out of range, choices that contradict each other.
 */
export function readConfig(json: unknown): ModelConfig {
  const who = 'model configuration';
  if (!isObject(json)) throw new OptionError(`${who}: must be an object, such as { "width": 128 }.`);
  const { rest, pattern } = splitLayers(who, json);
  const config = readAlike(who, rest);
  if (pattern === undefined) return withRows(who, config);
  const layers = pattern.map((entry, i) => {
    const own = readAlike(
      `${who}: layer ${i} of the pattern`,
      withLayer(`${who}: layer ${i} of the pattern`, rest, entry),
    );
    const named = layerSections.map((name) => [name, own[name]] as const);
    return Object.fromEntries(named.filter(([, section]) => section !== undefined)) as unknown as LayerConfig;
  });
  const added = (method: string): boolean => method === 'sinusoidal' || method === 'learned';
  const stray = layers.find(({ position }) => added(position.method) && position.method !== config.position.method);
  if (stray !== undefined) {
    throw new OptionError(
      `${who}: position ${stray.position.method} is added before the first layer, so it is the model's, not a layer's.`,
    );
  }
  return withRows(who, { ...config, pattern: layers });
}

/** @throws OptionError where a layer is given other rows than it takes. */
function withRows(who: string, config: ModelConfig): ModelConfig {
  const causal = config.kind !== 'encoder' && config.kind !== 'encoder-decoder';
  const branches = layersOf(config).map(({ mixer: own }) =>
    own ? mixer(own.name).create(mixerSizes(config, causal), own.options) : {},
  );
  try {
    rowCounts(branches, config.length);
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
function readAlike(who: string, json: Given): ModelConfig {
  const reasons = [...reasonsAgainst(json, top)];
  const given = Object.fromEntries(Object.entries(sections).map(([name, of]) => [name, read(name, of, json, reasons)]));
  if (reasons.length > 0) throw new OptionError(`${who}: ${reasons.join('; ')}.`);
  const config = complete(json, given);
  const contradictions = [
    ...contradictionsOf(config, given),
    ...(config.mixer ? mixerReasons(config, config.mixer) : mechanismReasons(config)),
  ];
  if (contradictions.length > 0) throw new OptionError(`${who}: ${contradictions.join('; ')}.`);
  return config;
}

function read(
  name: string,
  { word, keys }: { readonly word?: string; readonly keys: Requirements },
  json: Given,
  reasons: string[],
): Given {
  const value = json[name];
  const own = typeof value === 'string' && word !== undefined ? { [word]: value } : value;
  if (!isObject(own)) return {};
  reasons.push(...reasonsAgainst(own, keys, word === undefined ? [] : [word], name));
  return own;
}

/** What is given over the defaults. The types hold because every value met its requirement. */
function complete(json: Given, given: Readonly<Record<string, Given>>): ModelConfig {
  const rest = Object.fromEntries(Object.entries(json).filter(([name]) => !Object.hasOwn(sections, name)));
  const kind = (rest['kind'] ?? 'decoder') as ModelKind;
  const recurrent = kind === 'transformer-xl' || kind === 'compressive-transformer';
  const width = (rest['width'] ?? 128) as number;
  const heads = (rest['heads'] ?? 4) as number;
  const length = (rest['length'] ?? 256) as number;
  const gated = given['feedForward']!['gated'] === true;
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
    ...(json['mixer'] !== undefined && { mixer: mixerOf({ name: '', options: {}, ...given['mixer'] }) }),
    position: { method: recurrent ? 'transformer-xl' : 'rope', ...given['position'] },
    feedForward: {
      // gated layers have three matrices in place of two, so a hidden size of two thirds is as large
      hidden: gated ? 8 * Math.ceil(width / 3) : 4 * width,
      activation: gated ? 'silu' : 'gelu',
      gated,
      chunk: 0,
      ...given['feedForward'],
    },
    norm: { kind: 'rms', place: 'pre', epsilon: NORM_EPSILON, ...given['norm'] },
    residual: { kind: 'plain', every: 0, ...given['residual'] },
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

function contradictionsOf(config: ModelConfig, given: Readonly<Record<string, Given>>): string[] {
  const { kind, width, heads, kvHeads, headDim, position, norm, residual, memory } = config;
  const recurrent = kind === 'transformer-xl' || kind === 'compressive-transformer';
  const faults = [
    !Number.isInteger(headDim) && `width ${width} is no multiple of heads ${heads}: change one, or set headDim`,
    headDim > 256 && `headDim must be at most 256; got ${headDim}: take more heads`,
    heads % kvHeads !== 0 && `kvHeads ${kvHeads} must divide heads ${heads}`,
    position.method === 'rope' && headDim % 2 === 1 && `position rope needs an even headDim; got ${headDim}`,
    position.method === 'sinusoidal' && width % 2 === 1 && `position sinusoidal needs an even width; got ${width}`,
    residual.kind === 'reversible' && norm.place === 'post' && 'residual reversible needs norm.place "pre"',
    residual.kind === 'reversible' &&
      kind === 'encoder-decoder' &&
      'residual reversible is for stacks without cross-attention',
    residual.every > 0 && residual.kind !== 'checkpointed' && `residual.every is for residual "checkpointed"`,
    recurrent && residual.kind !== 'plain' && `kind ${kind} takes residual "plain": its layers keep a memory`,
    recurrent && position.method !== 'transformer-xl' && `kind ${kind} takes position "transformer-xl"`,
    !recurrent && memory.length > 0 && 'memory.length is for kinds with memory',
    kind !== 'compressive-transformer' &&
      memory.compressed > 0 &&
      'memory.compressed is for kind "compressive-transformer"',
    position.method === 'transformer-xl' &&
      (kind === 'encoder' || kind === 'encoder-decoder') &&
      'position transformer-xl is causal, so for decoders',
  ].filter((fault) => fault !== false);
  for (const [key, method] of Object.entries(ofMethod)) {
    if (given['position']![key] !== undefined && position.method !== method) {
      faults.push(`position.${key} is for method "${method}"; got method "${position.method}"`);
    }
  }
  return faults;
}

/** What the mechanism has against the model. */
function mechanismReasons(config: ModelConfig): string[] {
  const { kind, heads, kvHeads, headDim, length, position } = config;
  const { name, options, plugin } = config.mechanism;
  const missing = reasonAgainstMechanism(name, plugin);
  if (missing !== undefined) return [missing];
  const own = mechanism(name);
  const { supports } = own.definition;
  const reasons: string[] = [];
  const scored = position.method === 'alibi' || position.method === 't5' || position.method === 'transformer-xl';
  if (scored && !supports.score) {
    const others = positionNames.filter((one) => !['alibi', 't5', 'transformer-xl'].includes(one));
    reasons.push(
      `${name} takes no change of scores, so position ${position.method} does not work; take ${others.join(', ')}`,
    );
  }
  const shape = { B: 1, H: heads, G: kvHeads, L: length, S: length, D: Math.ceil(headDim), E: Math.ceil(headDim) };
  const before = config.memory.length + config.memory.compressed;
  try {
    const given = { ...options, causal: kind !== 'encoder' && kind !== 'encoder-decoder' };
    own.settle(shape, given);
    // keys of the segments before
    if (before > 0) own.settle({ ...shape, S: length + before }, given);
  } catch (error) {
    reasons.push((error as Error).message.replace(/\.$/, ''));
  }
  return reasons;
}

/** What a mixer has against the model. */
function mixerReasons(config: ModelConfig, { name, options, plugin }: NonNullable<ModelConfig['mixer']>): string[] {
  const { kind, residual, length } = config;
  const sizes = mixerSizes(config, kind !== 'encoder' && kind !== 'encoder-decoder');
  if (kind === 'transformer-xl' || kind === 'compressive-transformer') {
    return [`kind ${kind} attends to its memory, so it takes a mechanism and no mixer`];
  }
  const missing = reasonAgainstMixer(name, plugin);
  if (missing !== undefined) return [missing];
  try {
    const { resize, restores } = mixer(name).create(sizes, options);
    const rows = restores !== undefined ? undefined : (resize?.(length) ?? length);
    if (rows === length) return [];
    return [
      kind !== 'encoder' && `mixer ${name} gives ${rows ?? 'other'} rows for ${length}, so it is for encoders`,
      residual.kind === 'reversible' &&
        `mixer ${name} changes the number of rows, so residual "reversible" is not for it`,
    ].filter((reason) => reason !== false);
  } catch (error) {
    return [(error as Error).message.replace(/\.$/, '')];
  }
}

/** Models to begin with, by name. */
export const presets = {
  /** Learns a book in minutes on two cores. */
  tiny: { layers: 4, width: 128, heads: 4, length: 256 },
  /** The model that speed is measured with. */
  small: { layers: 6, width: 256, heads: 4, length: 1024 },
} as const satisfies Readonly<Record<string, Given>>;
export type PresetName = keyof typeof presets;

/** @throws OptionError for a name that is none. */
export function preset(name: string): Given {
  if (typeof name === 'string' && Object.hasOwn(presets, name)) return presets[name as PresetName];
  throw new OptionError(`preset: ${unknown('preset', [name], Object.keys(presets))}.`);
}
