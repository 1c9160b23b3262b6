import type { Tensor } from '../tensor/index.js';
import { broadcastTo, reshape } from './shape.js';

/** Key/value heads `[B, G, ...]`, each as often as it has query heads: `[B, H, ...]`. */
export function repeatHeads(x: Tensor, H: number): Tensor {
  const [B, G, ...rest] = x.shape as [number, number, ...number[]];
  if (G === H) return x;
  const split = reshape(x, [B, G, 1, ...rest]);
  return reshape(broadcastTo(split, [B, G, H / G, ...rest]), [B, H, ...rest]);
}
