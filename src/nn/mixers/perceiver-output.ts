import { integer } from '../../attention/options.js';
import { learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { OptionError } from '../../core/errors.js';
import { lengths as padding } from '../../masks/index.js';
import { attend, broadcastTo, layerNorm, matmul, reshape, slice } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import { defineMixer } from './define.js';
import { headsOf, joined } from './heads.js';
import { furnished, normParameters, projections } from './perceiver-parts.js';

/** A learned query for every place of a sequence reads what a few latents hold of it. */
export const perceiverOutput = defineMixer({
  name: 'perceiver-output',
  summary: 'Every place that there was before the latents asks them by a learned query: the output of Perceiver IO.',
  paper: {
    authors: 'Jaegle et al.',
    title: 'Perceiver IO: A General Architecture for Structured Inputs & Outputs',
    year: 2021,
    arxiv: '2107.14795',
  },
  formula: 'out_p = softmax(LN(e_p) W_q (z W_k)ᵀ/√D) z W_v W_o,  z the latents, e a learned row for each place',
  relativeToPaper:
    'as in its masked language model: queries say where, not what stood there, and are not added to what comes out. The norm of the latents and the perceptron after are the layer’s.',
  options: {
    keyDim: integer({ min: 1, max: 256, default: ({ D }) => D, help: 'size of queries and keys of a head' }),
    valueDim: integer({ min: 1, max: 256, default: ({ E }) => E, help: 'size of values of a head' }),
    bias: furnished.bias,
  },
  supports: { causal: false, padding: true },
  widens: true,
  parameters: ({ features, width = features, heads, length }, { keyDim, valueDim, bias }): ParameterSpecs => ({
    places: learned([length, width], normalOf(1)),
    ...normParameters('places', width),
    ...projections([width, features], { heads, keyDim, valueDim, bias, width }),
  }),
  restores: () => 'any',
  // what is asked for is the stream from there on
  base: () => undefined,
  forward: ({ x, earlier, sizes: { heads, features, width = features, length }, lengths, parameters }) => {
    const rows = earlier!.shape[1]!;
    if (rows > length) {
      throw new OptionError(
        `perceiver-output: has queries for ${length} places; got ${rows}: make the model with a length of ${rows}.`,
      );
    }
    const stored = storedAs(x);
    const maybe = (name: string): Tensor | undefined => parameters[name];
    const of = (name: string): Tensor => maybe(name)!;
    const places = rows === length ? of('places') : slice(of('places'), { end: rows });
    const asked = layerNorm(places, { weight: of('placesScale'), bias: of('placesBias'), ...stored });
    const q = headsOf(reshape(asked, [1, rows, width]), of('query'), heads, maybe('queryBias'));
    const latents = withoutPadding(x, lengths);
    const [k, v] = ['key', 'value'].map((name) => headsOf(latents, of(name), heads, maybe(`${name}Bias`))) as [
      Tensor,
      Tensor,
    ];
    const mask = lengths && padding(lengths);
    const queries = broadcastTo(q, [x.shape[0]!, ...q.shape.slice(1)]);
    const bias = maybe('outBias');
    return matmul(joined(attend(queries, k, v, mask ? { mask } : {}).out), of('out'), {
      ...stored,
      ...(bias && { bias }),
    });
  },
});
