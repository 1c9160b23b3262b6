import { count, only, real } from '../fields.js';
import { headsOf, layersByType, llamaLike } from '../llama-like.js';
import { ropeOf, type RopeJson } from '../rotary.js';
import type { LayerType } from '../windows.js';
import { gemmaConfig, gemmaFields, gemmaNorms } from './gemma2.js';

/** The model of texts. Layers that see a window have rotary positions of their own. */
export const gemma3 = llamaLike({
  modelType: 'gemma3_text',
  title: 'Gemma 3',
  paper: { authors: 'Gemma Team', title: 'Gemma 3 Technical Report', year: 2025, arxiv: '2503.19786' },
  stem: 'Gemma3',
  fields: {
    ...gemmaFields,
    sliding_window: count(4096),
    sliding_window_pattern: count(6),
    rope_local_base_freq: real(10000),
    use_bidirectional_attention: only([false], 'with it, it is an encoder'),
  },
  base: 1e6,
  config: (theirs) => {
    const { num_hidden_layers, sliding_window_pattern: every } = theirs;
    const types =
      theirs.layer_types ??
      Array.from({ length: num_hidden_layers }, (_, i): LayerType =>
        (i + 1) % every === 0 ? 'full_attention' : 'sliding_attention',
      );
    const { headDim } = headsOf(theirs);
    // one object for each kind of layer, in newer files
    const each = (theirs.rope_parameters ?? {}) as Readonly<Record<string, RopeJson | undefined>>;
    const position = (type: LayerType): object => {
      const own = each[type] ?? (type === 'full_attention' ? theirs.rope_scaling : undefined);
      const base = type === 'full_attention' ? (theirs.rope_theta ?? 1e6) : theirs.rope_local_base_freq;
      return ropeOf({ ...theirs, rope_theta: base }, { headDim }, own ?? null);
    };
    return {
      ...gemmaConfig(theirs, { queryKeyNorm: 'heads' }),
      position: position('full_attention'),
      ...layersByType(types, theirs.sliding_window, (type) => ({ position: position(type) })),
    };
  },
  map: () => ({ norms: gemmaNorms }),
});
