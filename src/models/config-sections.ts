import { isPlainObject as isObject } from '../core/describe.js';
import {
  finite,
  flag,
  fraction,
  listOfTexts,
  oneOf,
  plainObject,
  positive,
  reasonsAgainst,
  text,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';
import { adaptiveProjections } from '../nn/adaptive.js';
import { factoredOptions } from '../nn/factored.js';
import { activations, biasPlaces, normPlaces, parallels, queryKeyNorms } from '../nn/index.js';
import { ofRelative } from '../nn/position-options.js';
import { sinusoidalVariants } from '../positions/sinusoidal.js';
import { knownFeedForwards, pluginOfFeedForward } from '../nn/feed-forward/registry.js';
import { headSection } from './head.js';
import { kinds, positionNames, residualKinds, type ModelConfig } from './model-config.js';

export type Given = Readonly<Record<string, unknown>>;
const aName = { ...text, must: 'a name' };
const aPath = { ...text, must: 'the path of a file' };
/** A section that its first word may stand for: `"rope"` for `{ "method": "rope" }`. */
const worded = { must: 'a name or an object', holds: (value: unknown) => typeof value === 'string' || isObject(value) };

export const top: Requirements = {
  kind: oneOf(kinds),
  vocabulary: wholeFrom(2),
  outputs: wholeFrom(1),
  length: wholeFrom(1),
  layers: wholeFrom(1),
  // taken apart before the rest is read; named here for who misspells them
  pattern: plainObject,
  schedules: plainObject,
  width: wholeFrom(1),
  heads: wholeFrom(1),
  kvHeads: wholeFrom(1),
  headDim: wholeFrom(1),
  valueDim: wholeFrom(1),
  sizes: plainObject,
  mechanism: worded,
  mixer: worded,
  pooling: worded,
  projection: worded,
  attention: plainObject,
  as: wholeFrom(0),
  position: worded,
  embedding: plainObject,
  prediction: plainObject,
  feedForward: worded,
  norm: plainObject,
  residual: worded,
  dropout: fraction,
  bias: oneOf([true, false, ...biasPlaces]),
  tied: flag,
  lossChunk: wholeFrom(0),
  memory: plainObject,
  head: plainObject,
  lora: plainObject,
  decoder: plainObject,
};

/** What a section takes. `word` is the key that a word alone stands for: it must be given, unless it has a default. */
interface Section {
  readonly word?: string;
  readonly optional?: true;
  readonly keys: Requirements;
}
export const sections: Readonly<Record<string, Section>> = {
  sizes: {
    keys: {
      from: wholeFrom(1),
      width: wholeFrom(1),
      heads: wholeFrom(1),
      kvHeads: wholeFrom(1),
      headDim: wholeFrom(1),
      valueDim: wholeFrom(1),
    },
  },
  mechanism: {
    word: 'name',
    keys: { name: aName, options: plainObject, plugin: aPath },
  },
  mixer: {
    word: 'name',
    keys: { name: aName, options: plainObject, plugin: aPath },
  },
  pooling: {
    word: 'kind',
    keys: {
      kind: oneOf(['mean', 'max', 'restore']),
      separateClass: flag,
      truncate: flag,
      asPublished: flag,
      keys: flag,
    },
  },
  projection: {
    word: 'name',
    keys: { name: oneOf(['dense', 'factored']), ...factoredOptions },
  },
  attention: {
    keys: {
      scale: finite,
      softcap: positive,
      queryKeyNorm: oneOf(queryKeyNorms),
      sinks: flag,
      gate: flag,
      globals: wholeFrom(0),
      zeroPadding: flag,
    },
  },
  position: {
    word: 'method',
    keys: {
      method: oneOf(positionNames),
      base: positive,
      scaling: plainObject,
      rotary: wholeFrom(2),
      exponent: positive,
      factor: positive,
      rounding: oneOf(['bf16']),
      buckets: wholeFrom(2),
      maxDistance: wholeFrom(2),
      ...ofRelative,
      variant: oneOf(sinusoidalVariants),
      first: wholeFrom(0),
      rows: wholeFrom(1),
      padding: wholeFrom(0),
      grid: plainObject,
    },
  },
  embedding: {
    keys: {
      width: wholeFrom(1),
      scale: positive,
      norm: oneOf(['layer', 'rms']),
      types: wholeFrom(1),
      adaptive: plainObject,
      given: flag,
      prefix: wholeFrom(1),
    },
  },
  lora: { keys: { rank: wholeFrom(1), alpha: positive, on: listOfTexts } },
  prediction: {
    keys: {
      transform: oneOf(Object.keys(activations)),
      transformBias: flag,
      norm: oneOf(['layer', 'rms', 'none']),
      bias: flag,
      scale: positive,
      softcap: positive,
      adaptive: oneOf(adaptiveProjections),
    },
  },
  feedForward: {
    word: 'name',
    optional: true,
    keys: {
      name: aName,
      options: plainObject,
      plugin: aPath,
      hidden: wholeFrom(1),
      activation: oneOf(Object.keys(activations)),
      gated: flag,
      chunk: wholeFrom(0),
      bias: flag,
    },
  },
  norm: {
    keys: {
      kind: oneOf(['layer', 'rms']),
      place: oneOf(normPlaces),
      epsilon: positive,
      bias: flag,
      centred: flag,
      mixing: flag,
      final: flag,
      prefix: flag,
    },
  },
  residual: {
    word: 'kind',
    keys: { kind: oneOf(residualKinds), every: wholeFrom(0), parallel: oneOf(parallels), joined: flag },
  },
  head: { keys: headSection },
  memory: {
    keys: {
      length: wholeFrom(0),
      compressed: wholeFrom(0),
      ratio: wholeFrom(1),
      initial: oneOf(['zeros']),
      reuse: wholeFrom(1),
    },
  },
};

/** What a section is given, its word written out; what is wrong with it goes to `reasons`. */
export function readSection(name: string, { word, optional, keys }: Section, json: Given, reasons: string[]): Given {
  const value = json[name];
  const own = typeof value === 'string' && word !== undefined ? { [word]: value } : value;
  if (!isObject(own)) return {};
  reasons.push(...reasonsAgainst(own, keys, word === undefined || optional ? [] : [word], name));
  return own;
}

/** The feed-forward section, complete; the types hold because every value met its requirement. */
export function feedForwardSection(width: number, given: Given): ModelConfig['feedForward'] {
  const name = (given['name'] ?? 'dense') as string;
  // that there is none of the name is said where reasons are collected
  const kind = knownFeedForwards().find((one) => one.name === name);
  const { activation, gated: usual = false } = kind?.definition.defaults ?? {};
  const gated = (given['gated'] ?? usual) as boolean;
  const plugin = pluginOfFeedForward(name);
  return {
    name,
    options: {},
    // gated layers have three matrices in place of two, so a hidden size of two thirds is as large
    hidden: gated ? 8 * Math.ceil(width / 3) : 4 * width,
    activation: activation ?? (gated ? 'silu' : 'gelu'),
    gated,
    chunk: 0,
    ...given,
    ...(plugin !== undefined && { plugin }),
  };
}
