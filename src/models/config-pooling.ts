import { pooledRows, type RowPooling } from '../nn/row-pooling.js';
import { layersOf } from './config-layers.js';
import type { Given } from './config-sections.js';
import type { LayerConfig, ModelConfig, PoolingConfig } from './model-config.js';
import type { RowChange } from './row-counts.js';

/** As published, where nothing is said (Dai et al. 2020, arXiv 2006.03236). */
export function poolingOf(given: Given): PoolingConfig {
  const all = { kind: 'mean', ...given };
  if (all.kind === 'restore') return all as PoolingConfig;
  return { separateClass: true, truncate: true, ...all } as RowPooling;
}

/** The pooling of a layer that pools. */
export const poolsBy = (pooling: PoolingConfig | undefined): RowPooling | undefined =>
  pooling === undefined || pooling.kind === 'restore' ? undefined : pooling;

/** The same, where it makes all of the stream fewer rows before the layer. */
export const poolsBefore = (pooling: PoolingConfig | undefined): RowPooling | undefined => {
  if (pooling === undefined || pooling.kind === 'restore' || pooling.keys !== true) return undefined;
  const { keys: _, ...rest } = pooling;
  return rest;
};

export function poolingChange(pooling: PoolingConfig | undefined): RowChange {
  const own = poolsBy(pooling);
  if (own) return { pools: true, resize: (rows) => pooledRows(rows, own) };
  return pooling ? { unpools: true } : {};
}

/** What a layer's pooling has against the rest of it. */
export function ofOneLayer({ kind, mixer, residual, pooling }: ModelConfig): string[] {
  if (pooling === undefined) return [];
  const own = poolsBy(pooling);
  return [
    kind !== 'encoder' && 'pooling changes the number of rows, so it is for encoders',
    residual.kind === 'reversible' && 'pooling changes the number of rows, so residual "reversible" is not for it',
    own && mixer && `pooling is of the queries of attention; leave mixer ${mixer.name} out`,
    own?.asPublished &&
      !(own.separateClass && own.truncate) &&
      'pooling.asPublished is for separateClass and truncate, as published models have both',
    !own &&
      Object.keys(pooling).length > 1 &&
      'pooling "restore" is as the layers pooled that it gives back; leave its options out',
  ].filter((reason) => typeof reason === 'string');
}

/** Tokens from one row of each layer's stream to the next. */
export function stridesOf(layers: readonly LayerConfig[]): number[] {
  let stride = 1;
  return layers.map(({ pooling }) => {
    if (pooling?.kind === 'restore') stride = 1;
    const own = stride;
    if (poolsBy(pooling)) stride *= 2;
    return own;
  });
}

/** What layers that pool have against each other, and against where tokens are. */
export function poolingReasons(layers: readonly LayerConfig[]): string[] {
  const strides = stridesOf(layers);
  // a layer that pools gives rows of twice as many tokens, which it may be passed by again
  const given = (layer: number): number => strides[layer]! * (poolsBy(layers[layer]!.pooling) ? 2 : 1);
  const apart = layers.findIndex(({ as }, i) => as !== undefined && given(as) !== strides[i]);
  if (apart >= 0) {
    return [
      `layer ${apart} has the weights of layer ${layers[apart]!.as}, whose rows stand for another number of tokens`,
    ];
  }
  const pools = layers.map(({ pooling }) => poolsBy(pooling)).filter((one) => one !== undefined);
  if (pools.length === 0) return [];
  const differ = pools.some(
    ({ separateClass, truncate, asPublished = false }) =>
      separateClass !== pools[0]!.separateClass ||
      truncate !== pools[0]!.truncate ||
      asPublished !== (pools[0]!.asPublished ?? false),
  );
  const scored = layers.find(({ position: { method } }) => method === 'alibi' || method === 't5');
  return [
    differ && 'layers pool with the same separateClass, truncate and asPublished',
    scored &&
      `position ${scored.position.method} counts rows and not tokens where layers pool; take rope or transformer-xl`,
  ].filter((reason) => typeof reason === 'string');
}

/** What becomes of a last row without a partner, a sentence for each layer that pools such a one of a window of the model's length. */
export function unpaired(config: ModelConfig): string[] {
  let rows = config.length;
  return layersOf(config).flatMap(({ pooling }, layer) => {
    const own = poolsBy(pooling);
    if (pooling?.kind === 'restore') rows = config.length;
    if (own === undefined) return [];
    const before = rows;
    rows = pooledRows(before, own);
    const odd = (before - Number(own.separateClass)) % 2 === 1;
    const what = own.separateClass && own.truncate ? 'is left out' : 'stands alone';
    return odd ? [`layer ${layer} makes ${rows} rows of ${before}: the last one has no partner and ${what}`] : [];
  });
}
