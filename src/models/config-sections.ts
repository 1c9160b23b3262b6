import { isPlainObject as isObject } from '../core/describe.js';
import {
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
import { kinds, positionNames, residualKinds } from './model-config.js';

export type Given = Readonly<Record<string, unknown>>;
const aName = { ...text, must: 'a name' };
const aPath = { ...text, must: 'the path of a file' };
/** A section that its first word may stand for: `"rope"` for `{ "method": "rope" }`. */
const worded = { must: 'a name or an object', holds: (value: unknown) => typeof value === 'string' || isObject(value) };

export const top: Requirements = {
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

/** What each section takes. */
export const sections: Readonly<Record<string, { readonly word?: string; readonly keys: Requirements }>> = {
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

/** What a section is given, its word written out; what is wrong with it goes to `reasons`. */
export function readSection(
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
