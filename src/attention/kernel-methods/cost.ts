import type { Cost } from '../define.js';
import type { AttentionShape } from '../options.js';

/** Of weights that are products of `M` features: each key adds M·(E + 1) products to a state, each query reads them. */
export const linearCost = ({ B, H, L, S, E }: AttentionShape, M: number): Cost => ({
  multiplyAdds: B * H * (L + S) * M * (E + 1),
});
