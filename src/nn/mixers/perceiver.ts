import { lookup, tableOf } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { flag, integer } from '../../attention/options.js';
import { learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { lengths as padding, mask, type Mask } from '../../masks/index.js';
import { add, attend, gatherRows, matmul, slice } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import { defineMixer, type MixerCall } from './define.js';
import { headsOf, joined, learnedRows } from './heads.js';
import { furnished, normed, normParameters, projections } from './perceiver-parts.js';

const options = {
  latents: integer({ min: 1, default: 256, help: 'rows N that it gives' }),
  keyDim: integer({ min: 1, max: 256, default: ({ D }) => D, help: 'size of queries and keys of a head' }),
  valueDim: integer({ min: 1, max: 256, default: ({ E }) => E, help: 'size of values of a head' }),
  ...furnished,
  every: flag({ default: false, help: 'as many latents for a shorter text' }),
};

/** Latent rows attend to all rows, and are the stream from there on. */
export const perceiver = defineMixer({
  name: 'perceiver',
  summary:
    'A few latent rows attend to all rows and are the stream from there on: learned ones, or the last of a text.',
  paper: {
    authors: 'Jaegle et al.; Hawthorne et al.',
    title:
      'Perceiver: General Perception with Iterative Attention; General-purpose, long-context autoregressive modeling with Perceiver AR',
    year: 2021,
    arxiv: '2103.03206',
  },
  formula:
    'out = z + softmax(z W_q (x W_k)ᵀ/√D) x W_v W_o,  z learned; causal (Perceiver AR, arXiv:2202.07765): z the last N rows, which see rows up to themselves',
  relativeToPaper:
    'heads are any. The norm of rows and the perceptron after are the layer’s; latents take a norm where asked for. A text shorter than N has as many latents as tokens, where not every one is asked for.',
  options,
  supports: { causal: true, padding: true },
  latest: true,
  widens: true,
  parameters: (
    { features, width = features, heads, causal },
    { latents, keyDim, valueDim, bias, norm },
  ): ParameterSpecs => ({
    ...(!causal && { latents: learned([latents, width], normalOf(width ** -0.5)) }),
    ...(norm && normParameters('latents', width)),
    ...projections([width, features], { heads, keyDim, valueDim, bias, width }),
  }),
  resize: (rows, { latents, every }) => (every ? latents : Math.min(rows, latents)),
  cost: ({ features, width = features, heads, length, causal }, { latents, keyDim, valueDim, every }) => {
    const N = every ? latents : Math.min(latents, length);
    const pairs = causal ? N * (length - N) + (N * (N + 1)) / 2 : N * length;
    return { multiplyAdds: heads * (keyDim + valueDim) * (width * N + features * length + pairs) };
  },
  forward: (call) => {
    const { x, sizes, options: own, lengths, parameters } = call;
    const { heads, causal } = sizes;
    const rows = withoutPadding(x, lengths);
    const count = own.every ? own.latents : Math.min(x.shape[1]!, own.latents);
    const starts = lengths?.map((length) => Math.max(0, length - count));
    const latents = causal ? lastRows(call, rows, count, starts) : fixed(call, count);
    const of = (name: string): Tensor | undefined => parameters[name];
    const asked = own.norm ? normed(latents.rows, 'latents', of) : latents.rows;
    const [q, k, v] = [asked, rows, rows].map((one, i) => {
      const name = ['query', 'key', 'value'][i]!;
      return headsOf(one, of(name)!, heads, of(`${name}Bias`));
    }) as [Tensor, Tensor, Tensor];
    const hidden = !causal ? lengths && padding(lengths) : starts && upTo(starts, x.shape[1]! - count);
    const { out } = attend(q, k, v, { causal: causal && !starts, ...(hidden && { mask: hidden }) });
    const bias = of('outBias');
    return add(latents.stream, matmul(joined(out), of('out')!, { ...storedAs(x), ...(bias && { bias }) }));
  },
});

type Call = MixerCall<typeof options>;
interface Latents {
  /** What queries are made of. */
  readonly rows: Tensor;
  /** What is added to. */
  readonly stream: Tensor;
}

function fixed({ x, parameters }: Pick<Call, 'x' | 'parameters'>, count: number): Latents {
  const all = parameters['latents']!;
  const rows = learnedRows(all.shape[0] === count ? all : slice(all, { axis: 0, end: count }), x);
  return { rows, stream: rows };
}

/** The last rows of each sequence that are real, and what follows them where there are not as many. */
function lastRows(
  { x, stream }: Pick<Call, 'x' | 'stream'>,
  rows: Tensor,
  count: number,
  starts: readonly number[] | undefined,
): Latents {
  const L = x.shape[1]!;
  if (starts === undefined) {
    const last = (all: Tensor): Tensor => (count === L ? all : slice(all, { axis: 1, start: L - count }));
    return { rows: last(rows), stream: last(stream) };
  }
  const index = tensor(
    Int32Array.from({ length: starts.length * count }, (_, n) => starts[Math.floor(n / count)]! + (n % count)),
    [starts.length, count],
    { device: x.device },
  );
  return { rows: gatherRows(rows, index), stream: gatherRows(stream, index) };
}

/** Latent i of sequence b is its row `starts[b] + i`; `before` rows come before the queries in the keys' numbering. */
const upTo = memoised(
  (starts: readonly number[], before: number): Mask => {
    const table = tableOf('starts', Int32Array.from(starts));
    return mask(({ b, q, k }) => k.le(q.sub(before).add(lookup(table, b))));
  },
  { most: 64 },
);
