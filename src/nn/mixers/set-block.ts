import { flag, type OptionSpecs, type OptionValues } from '../../attention/options.js';
import { constantOf, learned, normalOf, type ParameterSpec } from '../../attention/parameters.js';
import { lengths as padding } from '../../masks/index.js';
import { add, attend, layerNorm, matmul, reluOf } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import type { MixerSizes } from './define.js';
import { headsOf, joined } from './heads.js';

export const paper = {
  authors: 'Lee et al.',
  title: 'Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks',
  year: 2018,
  arxiv: '1810.00825',
} as const;

export const setOptions = { norm: flag({ default: false, help: 'layer norms inside the block' }) };
type Options = OptionValues<typeof setOptions & OptionSpecs>;

/** Why a set block cannot be of these sizes: its residual is the query that was projected. */
export const refuseSizes = ({ features, heads, headDim }: MixerSizes): readonly string[] =>
  heads * headDim === features ? [] : [`takes heads that make up the ${features} features; got ${heads} of ${headDim}`];

/** The name of a parameter of one of several blocks. */
export const within = (block: string, name: string): string =>
  block === '' ? name : `${block}${name[0]!.toUpperCase()}${name.slice(1)}`;

/** Parameters of a block; `block` stands before those of one of several. */
export function blockParameters(
  { features }: MixerSizes,
  { norm }: Pick<Options, 'norm'>,
  block = '',
): Readonly<Record<string, ParameterSpec>> {
  const projections = ['query', 'key', 'value', 'out'].flatMap((one) => [
    [within(block, one), learned([features, features], normalOf(features ** -0.5))] as const,
    [within(block, `${one}Bias`), learned([features], constantOf(0))] as const,
  ]);
  const norms = ['attended', 'fed'].flatMap((one) => [
    [within(block, `${one}Scale`), learned([features], constantOf(1))] as const,
    [within(block, `${one}Bias`), learned([features], constantOf(0))] as const,
  ]);
  return Object.fromEntries([...projections, ...(norm ? norms : [])]);
}

/** Multiply-adds of a block of `queries` rows that attend to `keys`. */
export const blockCost = ({ features }: MixerSizes, queries: number, keys: number): number =>
  2 * features * (features * (queries + keys) + queries * keys);

/**
 * `LN(H + relu(H W_o + b))`, `H = LN(q′ + softmax(q′k′ᵀ/√F) v′)` by heads, with q′ of x and k′, v′ of y projected, and norms only where there
 * are weights for them: the block MAB of Set Transformer. `x` `[B, L, C]`, `y` `[B, S, C′]` → `[B, L, F]`. Rows of y beyond `lengths` are hidden.
 */
export function setBlock(
  [x, y]: readonly [Tensor, Tensor],
  parameter: (name: string) => Tensor | undefined,
  heads: number,
  lengths?: readonly number[],
): Tensor {
  const stored = storedAs(x);
  const of = (rows: Tensor, name: string): Tensor => headsOf(rows, parameter(name)!, heads, parameter(`${name}Bias`));
  const normed = (rows: Tensor, name: string): Tensor => {
    const [weight, bias] = [parameter(`${name}Scale`), parameter(`${name}Bias`)];
    return weight && bias ? layerNorm(rows, { weight, bias, ...stored }) : rows;
  };
  const q = of(x, 'query');
  const scale = (heads * q.shape[3]!) ** -0.5;
  const mask = lengths && padding(lengths);
  const attended = attend(q, of(y, 'key'), of(y, 'value'), { scale, ...(mask && { mask }) }).out;
  const sum = normed(add(joined(q), joined(attended)), 'attended');
  const fed = matmul(sum, parameter('out')!, { bias: parameter('outBias')!, activation: reluOf, ...stored });
  return normed(add(sum, fed), 'fed');
}
