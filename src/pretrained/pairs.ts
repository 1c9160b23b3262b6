import { chain, joined, transposed, type WeightRule } from '../nn/index.js';
import { linear, type Heads } from './projections.js';

/** Attention to an encoder: queries, and keys with values, of layers that the file has apart, `[out, in]` each. Biases too, where it has some. */
export function crossRules(
  layer: string,
  ours: string,
  { kvHeads, headDim }: Pick<Heads, 'kvHeads' | 'headDim'>,
  [q, k, v, o]: readonly [q: string, k: string, v: string, o: string],
): readonly WeightRule[] {
  const extents = [kvHeads * headDim, kvHeads * headDim];
  const both = (what: string): string[] => [`${layer}.${k}.${what}`, `${layer}.${v}.${what}`];
  return [
    ...linear(`${layer}.${q}`, `${ours}.query`),
    [both('weight'), `${ours}.keyValue.weight`, chain(transposed, joined(1, extents))],
    [both('bias'), `${ours}.keyValue.bias`, joined(0, extents)],
    ...linear(`${layer}.${o}`, `${ours}.out`),
  ];
}

/** Names of the layers of a stack, theirs and ours. */
export interface StackNames {
  readonly theirs: string;
  readonly ours: string;
}
