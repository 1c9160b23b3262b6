import { mixer, reasonAgainstMixer } from '../nn/mixers/registry.js';
import type { Given } from './config-sections.js';
import { seesBothSides, type LayerConfig, type LayerSizes, type ModelConfig } from './model-config.js';

const named = ['width', 'heads', 'kvHeads', 'headDim', 'valueDim'] as const;

/** JSON of a layer in which its own sizes stand for those of the model; `before` gives it its rows. */
export function withSizes(json: Given, rest: Given, before: LayerConfig | undefined): Given {
  const model = (rest['width'] ?? 128) as number;
  const from = before?.sizes?.width ?? model;
  const own = json['sizes'];
  if (typeof own !== 'object' || own === null) return from === model ? json : { ...json, sizes: { from } };
  const sizes = { from, ...own } as Given;
  // sizes of heads that follow from the width are those of the layer's
  const follows =
    sizes['width'] !== undefined || sizes['heads'] !== undefined ? ['kvHeads', 'headDim', 'valueDim'] : [];
  const kept = Object.entries(json).filter(([name]) => !follows.includes(name));
  const set = named.flatMap((name) => (sizes[name] === undefined ? [] : [[name, sizes[name]] as const]));
  return { ...Object.fromEntries(kept), ...Object.fromEntries(set), sizes };
}

/** The section, complete. */
export function sizesOf(json: Given, given: Given): LayerSizes {
  const { width, heads, kvHeads = heads, headDim = (width as number) / (heads as number), valueDim } = json;
  const all = { width, heads, kvHeads, headDim, ...(valueDim !== undefined && { valueDim }) };
  return { from: given['from'], ...all } as LayerSizes;
}

/** The configuration with a layer's own sizes in place of the model's. */
export const sized = (config: ModelConfig, { sizes }: LayerConfig): ModelConfig => {
  if (sizes === undefined) return config;
  const { from: _, ...own } = sizes;
  const { valueDim: __, ...rest } = config;
  return { ...rest, ...own, sizes };
};

/** What a layer's own sizes have against the rest of it. */
export function sizeReasons(config: ModelConfig): readonly (string | false)[] {
  const { kind, sizes, valueDim, mixer: own } = config;
  const changes = sizes !== undefined && sizes.from !== sizes.width;
  const able = own && reasonAgainstMixer(own.name, own.plugin) === undefined && mixer(own.name).definition.widens;
  return [
    (valueDim ?? sizes) !== undefined &&
      (kind !== 'encoder' || !seesBothSides(config)) &&
      'valueDim and sizes of layers are for encoders',
    (valueDim ?? 0) > 256 && `valueDim must be at most 256; got ${valueDim}`,
    changes &&
      !able &&
      `a layer of width ${sizes.width} is given rows of ${sizes.from}: take a mixer that changes the width before it, such as perceiver or perceiver-output`,
  ];
}
