import { learned, normalOf, synthesizer, type ParameterSpec } from '../../attention/index.js';
import { matmul, reshape, splitHeads, transpose } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import { defineMixer, shapeOf } from './define.js';

const { options, summary, paper, formula, parameters } = synthesizer.definition;

/** Softmax of logits that each row makes by itself, or that are learned: without the projections that no logit reads. */
export const synthesizerMixer = defineMixer({
  name: 'synthesizer',
  summary,
  paper,
  formula: `q = x W_1 (dense, mixtures),  k = x W_k (mixtures),  v = x W_v;  ${formula};  times W_out`,
  options,
  supports: { causal: true, padding: true },
  parameters: (sizes, values): Readonly<Record<string, ParameterSpec>> => {
    const { features, heads, headDim } = sizes;
    const matrix = (from: number, to: number): ParameterSpec => learned([from, to], normalOf(1 / Math.sqrt(from)));
    const mixed = values.mixture !== 'none';
    return {
      value: matrix(features, heads * headDim),
      ...((mixed || values.logits === 'dense') && { query: matrix(features, heads * headDim) }),
      ...(mixed && { key: matrix(features, heads * headDim) }),
      out: matrix(heads * headDim, features),
      ...parameters?.(shapeOf(sizes), values),
    };
  },
  cost: (sizes, values) => {
    const { features, heads, headDim, length, causal } = sizes;
    const projections = { none: values.logits === 'dense' ? 3 : 2, sum: 4, alpha: 4 }[values.mixture];
    const weighed = synthesizer.definition.cost(shapeOf(sizes), values, causal).multiplyAdds;
    return { multiplyAdds: projections * length * features * heads * headDim + weighed };
  },
  forward: ({ x, sizes, options: values, parameters: { value, query, key, out, ...own }, lengths }) => {
    const heads = (weight: Tensor): Tensor => splitHeads(matmul(x, weight, storedAs(x)), [sizes.heads])[0]!; // [B, H, L, D]
    const v = heads(value!);
    // logits that do not look at q or k take anything of their shape
    const [q, k] = [query, key].map((weight) => (weight ? heads(weight) : v)) as [Tensor, Tensor];
    const given = { ...values, causal: sizes.causal, ...(lengths && { lengths }), parameters: own };
    const mixed = synthesizer.run(q, k, v, given).out;
    const [B, H, L, D] = mixed.shape as [number, number, number, number];
    return matmul(reshape(transpose(mixed, [0, 2, 1, 3]), [B, L, H * D]), out!, storedAs(x));
  },
});
