import { chain, joined, reordered, transposed, type WeightRule } from '../nn/index.js';

/** Heads of a published layer. */
export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Queries, keys and values that the file has apart, `[out, in]` each: one of ours. Biases too, where it has some. */
export function apart(
  layer: string,
  ours: string,
  { heads, kvHeads, headDim }: Heads,
  names: readonly [q: string, k: string, v: string] = ['q_proj', 'k_proj', 'v_proj'],
): readonly WeightRule[] {
  const extents = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
  const of = (what: string): string[] => names.map((name) => `${layer}.${name}.${what}`);
  return [
    [of('weight'), `${ours}.qkv.weight`, chain(transposed, joined(1, extents))],
    [of('bias'), `${ours}.qkv.bias`, joined(0, extents)],
  ];
}

/**
 * Queries, keys and values that the file has in one tensor, by groups: the queries of a group of heads, then its key, then its value, as
 * GPT-NeoX, BLOOM and Falcon keep them. `name` is that of the layer.
 */
export function byGroups(name: string, ours: string, { heads, kvHeads, headDim }: Heads): readonly WeightRule[] {
  const share = heads / kvHeads;
  const order = Int32Array.from({ length: (heads + 2 * kvHeads) * headDim }, (_, i) => {
    const [head, component] = [Math.floor(i / headDim), i % headDim];
    return placeOf(head) * headDim + component;
  });
  function placeOf(head: number): number {
    if (head < heads) return Math.floor(head / share) * (share + 2) + (head % share);
    const [group, which] = head < heads + kvHeads ? [head - heads, 0] : [head - heads - kvHeads, 1];
    return group * (share + 2) + share + which;
  }
  return [
    [`${name}.weight`, `${ours}.qkv.weight`, chain(transposed, reordered(1, order))],
    [`${name}.bias`, `${ours}.qkv.bias`, reordered(0, order)],
  ];
}

/** A layer of PyTorch, whose weights are `[out, in]`. */
export const linear = (theirs: string, ours: string): readonly WeightRule[] => [
  [`${theirs}.weight`, `${ours}.weight`, transposed],
  [`${theirs}.bias`, `${ours}.bias`],
];
