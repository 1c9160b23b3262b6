import { count, yes } from '../fields.js';
import { layersByType, llamaLike, windowFields } from '../llama-like.js';
import type { LayerType } from '../windows.js';

/** Fields of layers that see a window from a depth on. */
export const qwenWindows = {
  ...windowFields,
  use_sliding_window: yes(false),
  max_window_layers: count(28, 0),
} as const;

export interface QwenWindows {
  readonly num_hidden_layers: number;
  readonly use_sliding_window: boolean;
  readonly sliding_window: number | null;
  readonly max_window_layers: number;
  readonly layer_types: readonly LayerType[] | null;
}

/** Without a list of kinds, layers from `max_window_layers` on see the window, where it is used at all. */
export function qwenTypes(theirs: QwenWindows): readonly LayerType[] {
  const { num_hidden_layers, use_sliding_window, sliding_window, max_window_layers, layer_types } = theirs;
  const windowed = use_sliding_window && sliding_window !== null;
  if (layer_types !== null) return layer_types;
  return Array.from({ length: num_hidden_layers }, (_, i) =>
    windowed && i >= max_window_layers ? 'sliding_attention' : 'full_attention',
  );
}

export const qwen2 = llamaLike({
  modelType: 'qwen2',
  title: 'Qwen2',
  paper: { authors: 'Yang et al.', title: 'Qwen2 Technical Report', year: 2024, arxiv: '2407.10671' },
  stem: 'Qwen2',
  fields: qwenWindows,
  config: (theirs) => ({ bias: 'qkv', ...layersByType(qwenTypes(theirs), theirs.sliding_window) }),
});
