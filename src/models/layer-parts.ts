import { mechanism, normalOf } from '../attention/index.js';
import { Attention, type BlockOptions, type Positions } from '../nn/index.js';
import { feedForward } from '../nn/feed-forward/registry.js';
import { mixer } from '../nn/mixers/registry.js';
import { feedForwardSizes, mixerSizes, type LayerConfig } from './config-layers.js';
import { poolsBefore, poolsBy } from './config-pooling.js';
import { factoredBy } from './config-projection.js';
import type { ModelConfig } from './config.js';

/** What the block of a layer is made of. */
export function partsOf(
  config: ModelConfig,
  layer: LayerConfig,
  {
    positions,
    ofBlocks,
    prefix,
  }: { readonly positions: Positions; readonly ofBlocks: Positions | undefined; readonly prefix: number },
  { causal, cross, separate }: { readonly causal: boolean; readonly cross: boolean; readonly separate?: boolean },
): BlockOptions {
  const { width, heads, kvHeads, headDim, valueDim, bias, dropout } = config;
  const length = config.length + prefix;
  const sizes = feedForwardSizes(config, layer, causal);
  const common = { heads, kvHeads, headDim, length, bias, outInit: normalOf(sizes.share / Math.sqrt(heads * headDim)) };
  const pooling = poolsBefore(layer.pooling) ? undefined : poolsBy(layer.pooling);
  const projection = factoredBy(layer.projection);
  const { kind: norm, place: normPlace, mixing, final: _, prefix: apart, ...ofNorm } = layer.norm;
  const { queryKeyNorm, globals: block, gate, ...scores } = layer.attention ?? {};
  const scoring = { ...scores, ...(queryKeyNorm && { queryKeyNorm: { over: queryKeyNorm, kind: norm, ...ofNorm } }) };
  const attention = (): Attention =>
    new Attention(width, {
      ...common,
      ...(valueDim !== undefined && { valueDim }),
      causal,
      ...(separate && { separate }),
      positions,
      mechanism: mechanism(layer.mechanism.name),
      settings: layer.mechanism.options,
      ...(pooling && { pooling }),
      ...(projection && { projection }),
      ...scoring,
      ...(gate !== undefined && { gate }),
      ...(block && { globals: { block, epsilon: layer.norm.epsilon, positions: ofBlocks } }),
    });
  return {
    mixer: layer.mixer ? mixer(layer.mixer.name).create(mixerSizes(config, causal), layer.mixer.options) : attention(),
    ...(cross && {
      cross: new Attention(width, {
        ...common,
        causal: false,
        mechanism: mechanism('flash'),
        separate: true,
        ...scoring,
      }),
    }),
    width,
    feedForward: feedForward(layer.feedForward.name).create(sizes, layer.feedForward.options),
    residual: { norm, normPlace, ...ofNorm, dropout, parallel: layer.residual.parallel },
    ...(mixing !== undefined && { normBeforeMixing: mixing }),
    ...(apart && prefix > 0 && { prefix }),
  };
}
