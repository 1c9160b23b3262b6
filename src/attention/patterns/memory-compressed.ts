import { memoised } from '../../core/memo.js';
import { lengths as padding, mask } from '../../masks/index.js';
import { add, attend, broadcastTo, concat, matmul, mean, reshape, slice } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, integer } from '../options.js';
import { constantOf, learned, type Initialiser, type ParameterSpec } from '../parameters.js';
import { sumOverRows } from './rows.js';
import { withoutPadding } from './without-padding.js';

const options = {
  factor: integer({ min: 1, default: 3, help: 'neighbouring keys that become one' }),
  compression: choice(['convolution', 'mean'], { default: 'convolution', help: 'how they become one' }),
  firstKey: choice(['duplicateFirstToken', 'nullKey'], {
    default: 'duplicateFirstToken',
    help: 'what queries see before the first whole block: the first token once more, or a learned key and value',
  }),
};

type Names = 'keyKernel' | 'keyBias' | 'valueKernel' | 'valueBias' | 'nullKey' | 'nullValue';
type Compressed = Call<typeof options, Names>;

/** Attention to keys and values that a strided convolution has made fewer. */
export const memoryCompressed = defineAttention({
  name: 'memory-compressed',
  family: 'patterns',
  summary: 'Every few neighbouring keys and values become one by a strided convolution; queries keep their number.',
  paper: {
    authors: 'Liu et al.',
    title: 'Generating Wikipedia by Summarizing Long Sequences',
    year: 2018,
    arxiv: '1801.10198',
  },
  formula: 'out_i = Σ_t softmax_t(scale · q_i·k̂_t) v̂_t,  k̂ = [k_0 ; conv(k)],  causal: t·factor ≤ i',
  complexity: 'n·(n/f + 1)·d',
  exactness: 'learned',
  relativeToPaper:
    'projected keys and values are compressed, each head by convolutions of its own, not the input before its projection; they start as means. ' +
    'The last n mod factor tokens are no keys. A decoder compresses all keys so far at each step.',
  options,
  parameters: ({ G, D, E }, { factor, compression, firstKey }) => {
    const specs: Partial<Record<Names, ParameterSpec>> = {
      ...(compression === 'convolution' && {
        keyKernel: learned([G, factor * D, D], meanOf(factor)),
        keyBias: learned([G, 1, D], constantOf(0)),
        valueKernel: learned([G, factor * E, E], meanOf(factor)),
        valueBias: learned([G, 1, E], constantOf(0)),
      }),
      ...(firstKey === 'nullKey' && {
        nullKey: learned([G, 1, D], constantOf(0)),
        nullValue: learned([G, 1, E], constantOf(0)),
      }),
    };
    // those that the options leave out are not read
    return specs as Record<Names, ParameterSpec>;
  },
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'cache' },
  cost: (shape, { factor, compression }, causal) => {
    const { B, H, G, S, D, E } = shape;
    const blocks = Math.floor(S / factor);
    const keys = (position: number): number =>
      causal ? 1 + Math.min(blocks, Math.floor(Math.max(-factor, position) / factor)) : 1 + blocks;
    const pairs = H * sumOverRows(shape, keys);
    const convolution = compression === 'mean' ? 0 : G * blocks * factor * (D * D + E * E);
    return { pairs, multiplyAdds: B * (pairs * (D + E) + convolution) };
  },
  forward: (call) => {
    const { q, causal, scale, lengths, shape, options: own } = call;
    const [keys, values] = [compressed(call, 'k'), compressed(call, 'v')];
    const past = causal ? completed(own.factor, shape.S - keys.shape[2]!) : undefined;
    const real = lengths && padding(lengths.map((length) => 1 + Math.floor(length / own.factor)));
    const seen = past && real ? past.and(real) : (past ?? real);
    const { out, logsumexp } = attend(q, keys, values, { scale, ...(seen && { mask: seen }) });
    return { out, logsumexp };
  },
});

/** `x` with weights 1/factor on the diagonals of all tokens of a block. */
const meanOf =
  (factor: number): Initialiser =>
  (shape) => {
    const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
    const size = shape.reduce((product, extent) => product * extent, 1);
    return Float32Array.from({ length: size }, (_, i) =>
      (Math.floor(i / columns) % rows) % columns === i % columns ? 1 / factor : 0,
    );
  };

/** Blocks that end before the query: `t·factor ≤ position`, in a matrix with `fewer` keys less than there are tokens. */
const completed = memoised((factor: number, fewer: number) => mask(({ q, k }) => k.mul(factor).le(q.add(fewer))), {
  most: 64,
});

/** The first key or value, and one for each block: `[B, G, 1 + ⌊S/factor⌋, D]`. */
function compressed({ k, v, parameters, lengths, options: own, shape }: Compressed, which: 'k' | 'v'): Tensor {
  const { B, G } = shape;
  const { factor, compression, firstKey } = own;
  const x = withoutPadding(which === 'k' ? k : v, lengths);
  const [, , n, size] = x.shape as [number, number, number, number];
  const name = which === 'k' ? 'key' : 'value';
  const nothing = which === 'k' ? parameters.nullKey : parameters.nullValue;
  const first = firstKey === 'nullKey' ? broadcastTo(nothing, [B, G, 1, size]) : slice(x, { axis: 2, end: 1 });
  const blocks = Math.floor(n / factor);
  if (blocks === 0) return first;
  const whole = blocks * factor === n ? x : slice(x, { axis: 2, end: blocks * factor });
  const parts =
    compression === 'mean'
      ? mean(reshape(whole, [B, G, blocks, factor, size]), { axes: -2 })
      : add(
          matmul(reshape(whole, [B, G, blocks, factor * size]), parameters[`${name}Kernel`]),
          parameters[`${name}Bias`],
        );
  return concat([first, parts], { axis: 2 });
}
