import { dilationSchedule, windowSchedule } from '../attention/index.js';
import type { DilationStep } from '../attention/patterns/schedules.js';
import { isPlainObject as isObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import type { FeedForwardSizes, MixerSizes } from '../nn/index.js';
import { feedForward } from '../nn/feed-forward/registry.js';
import { anything, checkValue, checkValues, type Requirement, wholeFrom } from '../core/requirements.js';
import { layerSections, type LayerConfig, type LayerSizes, type ModelConfig } from './model-config.js';

export type { LayerConfig } from './model-config.js';

/** What layer `index` is, counted from 0: the model's, or its place in the pattern, which repeats. */
export const layerOf = (config: ModelConfig, index: number): LayerConfig =>
  config.pattern?.[index % config.pattern.length] ?? config;

/** Every layer, the first first. */
export function layersOf(config: ModelConfig): LayerConfig[] {
  checkValue('layersOf', 'config', config, whole);
  return Array.from({ length: config.layers }, (_, i) => layerOf(config, i));
}

const whole: Requirement = {
  must: 'a whole configuration, as readConfig gives it',
  holds: (value) => wholeFrom(1).holds((Object(value) as ModelConfig).layers),
};

/** The configuration with something changed in every layer, of the decoder too. */
export const everyLayer = <C extends Layers>(config: C, change: (layer: LayerConfig) => Partial<LayerConfig>): C => ({
  ...changed(config, change(config)),
  ...(config.pattern && { pattern: config.pattern.map((layer) => changed(layer, change(layer))) }),
  ...(config.decoder && { decoder: everyLayer(config.decoder, change) }),
});

/** What has layers: a model, or the decoder of one. */
type Layers = LayerConfig & Pick<ModelConfig, 'pattern' | 'decoder'>;

const changed = <T extends LayerConfig>(layer: T, change: Partial<LayerConfig>): T => ({
  ...mixerGone(layer, change),
  ...change,
});

/** A layer that is given a mechanism is attention, whatever it was. */
function mixerGone<T extends object>(layer: T, change: object): T {
  if (!('mechanism' in change) || !('mixer' in layer)) return layer;
  const { mixer: _, ...attention } = layer;
  return attention as T;
}

/** What a mixer of the model is made for. */
export const mixerSizes = (
  { width, heads, headDim, length, sizes: { from } = { from: width } as LayerSizes }: ModelConfig,
  causal: boolean,
): MixerSizes => ({
  features: from,
  ...(from !== width && { width }),
  heads,
  headDim,
  length,
  causal,
});

/** What a feed-forward layer of the model is made for. */
export function feedForwardSizes(config: ModelConfig, layer: LayerConfig, causal: boolean): FeedForwardSizes {
  const { width, length, layers } = config;
  const { hidden, activation, gated, chunk, bias } = layer.feedForward;
  // what 2·layers branches add to the stream has the variance of one branch together (Radford et al. 2019, GPT-2)
  const sizes = { features: width, length, causal, hidden, activation, gated, chunk, share: 1 / Math.sqrt(2 * layers) };
  return { ...sizes, ...(bias !== undefined && { bias }) };
}

/** The configuration with at most so many tokens at a time in every feed-forward layer that can. */
export const inChunksOf = (config: ModelConfig, chunk: number): ModelConfig =>
  everyLayer(config, ({ feedForward: own }) =>
    feedForward(own.name).supports('chunk') ? { feedForward: { ...own, chunk } } : {},
  );

/** The mechanisms and mixers of the layers, each once: `flash`, or `sliding-window and flash`. */
export const mechanismNames = (config: ModelConfig): string =>
  namesOf(config, ({ mechanism, mixer = mechanism }) => mixer.name);

/** The same, and their feed-forward layers where they are not all dense. */
export function layerNames(config: ModelConfig): string[] {
  const own = namesOf(config, ({ feedForward: { name } }) => name);
  return [mechanismNames(config), ...(own === 'dense' ? [] : [`feed-forward ${own}`])];
}

const namesOf = (config: ModelConfig, of: (layer: LayerConfig) => string): string =>
  [...new Set(layersOf(config).map(of))].join(' and ');

type Given = Readonly<Record<string, unknown>>;

/**
 * JSON of a model and, apart from it, what its layers change of it, if they do:
 *
 * - `"layers": [{ … }, { … }]`: each layer for itself
 * - `"layers": 12, "pattern": [{ … }, { … }]`: these again and again
 * - `"schedules": { "radius": [32, 512], "dilations": [{ "layer": 6, "dilation": 2 }] }`: options of the mechanism that change with the
 *   depth, a pair of sizes as in `windowSchedule`, a list of steps as in `dilationSchedule`
 *
 * @throws OptionError where two of them are given.
 */
export function splitLayers(
  who: string,
  json: Given,
): { readonly rest: Given; readonly pattern: readonly Given[] | undefined } {
  const { pattern, schedules, layers, ...others } = json;
  const listed = Array.isArray(layers) ? (layers as unknown[]) : undefined;
  const ways = Object.entries({ pattern, schedules, 'a list of layers': listed }).filter(
    ([, way]) => way !== undefined,
  );
  if (ways.length > 1) throw new OptionError(`${who}: takes one of ${ways.map(([name]) => name).join(' and ')}.`);
  const rest = { ...others, ...(listed ? { layers: listed.length } : layers !== undefined && { layers }) };
  if (schedules !== undefined) return { rest, pattern: scheduled(who, rest, schedules) };
  const entries = listed ?? pattern;
  if (entries === undefined) return { rest, pattern: undefined };
  if (!Array.isArray(entries) || entries.length === 0 || !entries.every(isObject)) {
    throw new OptionError(
      `${who}: ${listed ? 'layers' : 'pattern'} must be a list of objects, one a layer, such as [{ "mechanism": "flash" }].`,
    );
  }
  return { rest, pattern: entries };
}

function scheduled(who: string, rest: Given, schedules: unknown): Given[] {
  if (!isObject(schedules) || Object.keys(schedules).length === 0) {
    throw new OptionError(`${who}: schedules must be an object, such as { "radius": [32, 512] }.`);
  }
  const [layers, heads] = [(rest['layers'] ?? 4) as number, (rest['heads'] ?? 4) as number];
  const values = Object.entries(schedules).map(([option, rule]) => {
    const pair = Array.isArray(rule) && rule.length === 2 && rule.every((size) => typeof size === 'number');
    if (pair) return [option, windowSchedule(layers, rule[0] as number, rule[1] as number)] as const;
    if (Array.isArray(rule) && rule.every(isObject)) {
      const first: DilationStep[] = rule[0]?.['layer'] === 0 ? [] : [{ layer: 0, dilation: 1 }];
      return [option, dilationSchedule(layers, [...first, ...(rule as unknown as DilationStep[])], { heads })] as const;
    }
    throw new OptionError(`${who}: schedules.${option} must be a pair of sizes, or a list of { "layer", "dilation" }.`);
  });
  return Array.from({ length: layers }, (_, layer) => ({
    mechanism: { options: Object.fromEntries(values.map(([option, each]) => [option, each[layer]])) },
  }));
}

/** The JSON of a model all of whose layers are as one of its pattern. @throws OptionError for keys that a layer does not have. */
export function withLayer(who: string, rest: Given, entry: Given): Given {
  checkValues(who, entry, Object.fromEntries(layerSections.map((name) => [name, anything])));
  return overlaid(rest, entry);
}

/** JSON with the sections of an entry over its own. */
export function overlaid(rest: Given, entry: Given): Given {
  const own = Object.entries(entry).map(([key, value]) => [key, changedSection(key, rest[key], value)]);
  return { ...mixerGone(rest, entry), ...(Object.fromEntries(own) as Given) };
}

/** A section of a layer, over that of the model. A position, a mixer and a residual kind are chosen anew; sizes and rates change one by one. */
function changedSection(key: string, before: unknown, given: unknown): unknown {
  const named = (section: unknown): unknown => (typeof section === 'string' ? { name: section } : section);
  const base = isObject(named(before)) ? (named(before) as Given) : {};
  if (key === 'norm' || key === 'attention') return isObject(given) ? { ...base, ...given } : given;
  if (key === 'mechanism' && isObject(given) && given['name'] === undefined) {
    return { name: 'flash', ...base, options: optionsOf(base, given) };
  }
  const value = named(given);
  if (key !== 'feedForward' || !isObject(value)) return given;
  const name = base['name'] ?? 'dense';
  const same = (value['name'] ?? name) === name;
  // what is not an option of one layer is a size of any
  const { options: _, plugin: __, ...sizes } = base;
  return same ? { ...base, ...value, options: optionsOf(base, value) } : { ...sizes, ...value };
}

const optionsOf = (base: Given, own: Given): Given => ({
  ...(base['options'] as Given | undefined),
  ...(own['options'] as Given | undefined),
});
