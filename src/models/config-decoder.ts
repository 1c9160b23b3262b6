import { isPlainObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { anything, reasonsAgainst } from '../core/requirements.js';
import { overlaid, splitLayers } from './config-layers.js';
import type { Given } from './config-sections.js';
import type { DecoderConfig, ModelConfig } from './model-config.js';

/** What is of the whole model, or never of a decoder: all else its section `decoder` may set. */
const ofWhole = [
  'kind',
  'vocabulary',
  'outputs',
  'width',
  'dropout',
  'tied',
  'embedding',
  'prediction',
  'lossChunk',
  'memory',
  'head',
  'decoder',
] as const satisfies readonly Exclude<keyof ModelConfig, keyof DecoderConfig>[];
const ofLayer = ['pooling', 'as'];

/** What the layers of one half of a model are read from. */
export interface HalfJson {
  readonly rest: Given;
  readonly pattern: readonly Given[] | undefined;
}

/**
 * The JSON of a decoder: that of the encoder with what section `decoder` sets. A section that it sets is of all its layers, whatever the
 * encoder's pattern says; layers of its own replace that pattern.
 *
 * @throws OptionError for a section that is none, or sets what is of the whole model; as `splitLayers`.
 */
export function decoderJson(who: string, encoder: HalfJson, given: unknown, known: readonly string[]): HalfJson {
  const rest = withoutPrefix(encoder.rest);
  const pattern = encoder.pattern?.map(withoutPrefix);
  if (given === undefined) return { rest, pattern };
  if (!isPlainObject(given)) throw new OptionError(`${who}: must be an object, such as { "layers": 2 }.`);
  const allowed = known.filter((name) => ![...ofWhole, ...ofLayer].includes(name));
  const whole = ofWhole.filter((name) => given[name] !== undefined);
  const reasons = [
    ...(whole.length > 0 ? [`${whole.join(' and ')} is of the whole model: leave it out of decoder`] : []),
    ...reasonsAgainst(
      Object.fromEntries(Object.entries(given).filter(([name]) => !(whole as readonly string[]).includes(name))),
      Object.fromEntries(allowed.map((name) => [name, anything])),
    ),
  ];
  if (reasons.length > 0) throw new OptionError(`${who}: ${reasons.join('; ')}.`);
  const { layers, heads } = rest;
  const usual = Object.fromEntries(Object.entries({ layers, heads }).filter(([, value]) => value !== undefined));
  const own = splitLayers(who, given['schedules'] === undefined ? given : { ...usual, ...given });
  const inherited = pattern?.map((entry) =>
    Object.fromEntries(Object.entries(entry).filter(([name]) => given[name] === undefined)),
  );
  const left = inherited?.some((entry) => Object.keys(entry).length > 0) ? inherited : undefined;
  return { rest: overlaid(rest, own.rest), pattern: own.pattern ?? left };
}

/** Rows before those of a text are of the encoder alone. */
function withoutPrefix<T extends object>(sections: T): T {
  const left = Object.entries(sections).map(([name, section]: [string, unknown]) => {
    if ((name !== 'embedding' && name !== 'norm') || !isPlainObject(section)) return [name, section];
    const { prefix: _, ...rest } = section;
    return [name, rest];
  });
  return Object.fromEntries(left) as T;
}

/** What section `decoder` becomes, of a whole configuration of the decoder. */
export const decoderSection = (config: ModelConfig): DecoderConfig =>
  Object.fromEntries(
    Object.entries(config).filter(([name]) => !(ofWhole as readonly string[]).includes(name)),
  ) as unknown as DecoderConfig;

/** The encoder of an encoder–decoder, as a model of its own. */
export function encoderOf({ decoder: _, ...config }: ModelConfig): ModelConfig {
  return { ...config, kind: 'encoder' };
}

/** The decoder of an encoder–decoder, without what it reads, as a model of its own. */
export function decoderOf({ decoder, ...config }: ModelConfig): ModelConfig {
  if (decoder === undefined) {
    const { pattern } = config;
    return { ...withoutPrefix(config), ...(pattern && { pattern: pattern.map(withoutPrefix) }), kind: 'decoder' };
  }
  const whole = Object.fromEntries(
    Object.entries(config).filter(([name]) => (ofWhole as readonly string[]).includes(name)),
  );
  return { ...withoutPrefix(whole as unknown as ModelConfig), ...decoder, kind: 'decoder' };
}
