import type { Tensor } from '../tensor/index.js';
import { broadcastTo, reshape } from './shape.js';

/** Key/value heads `[B, G, rows, columns]`, each as often as it has query heads: `[B, H, rows, columns]`. */
export function repeatHeads(x: Tensor, H: number): Tensor {
  const [B, G, rows, columns] = x.shape as [number, number, number, number];
  if (G === H) return x;
  const split = reshape(x, [B, G, 1, rows, columns]);
  return reshape(broadcastTo(split, [B, G, H / G, rows, columns]), [B, H, rows, columns]);
}
