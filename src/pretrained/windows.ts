/** Which layers see a window alone. */
export type LayerType = 'full_attention' | 'sliding_attention';
export const layerTypes: readonly LayerType[] = ['full_attention', 'sliding_attention'];

/** Attention to the last `window` tokens, the query's own included, as published windows count; to all without one. */
export const seen = (window: number | null | undefined): object =>
  window === null || window === undefined
    ? { mechanism: 'flash' }
    : { mechanism: { name: 'sliding-window', options: { causalWindow: window } } };

/** Layers as JSON: alike where all are, else each by itself. */
export function layersAs(all: readonly object[]): object {
  const [first] = all;
  const alike = all.every((one) => JSON.stringify(one) === JSON.stringify(first));
  return alike ? { layers: all.length, ...first } : { layers: all };
}
