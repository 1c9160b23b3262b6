import { add, cast, linearAttend, reshape } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call, type ForwardResult } from '../define.js';
import { choice, integer, number, type OptionValues } from '../options.js';
import { byKeyHeads } from './by-heads.js';
import { linearCost } from './cost.js';
import { attendExponentials, attendExponentialsCausally, type Exponents, type Told } from './exponentials.js';
import { realKeys } from '../real-keys.js';
import { featureMaps, type FeatureMap } from './feature-maps.js';
import { lostRows } from './lost.js';

const options = {
  featureMap: choice(['elu1', 'relu', 'exp', 'softmax', 'dpfp', 'hedgehog', 't2r', 'taylor', 'rebased'], {
    default: 'elu1',
    help: 'φ: elu(x) + 1; max(x, 0); exp(x); softmax(x); products of max(±x, 0); softmax(±2Wx); max(Wx, 0); 1 + s + s²/2 of s = scale·q·k; s² of normed rows',
  }),
  nu: integer({ min: 1, default: 1, help: 'dpfp: products with how many neighbours, of which each gives 2d features' }),
  eps: number({ min: 0, max: 1, default: 0, help: "added to the divisor; the authors' code has 1e-6" }),
};
type Options = OptionValues<typeof options>;
type Linear = Call<typeof options>;

const mapOf = ({ featureMap }: Options): FeatureMap | undefined =>
  featureMap === 'exp' ? undefined : featureMaps[featureMap];
const featuresOf = (D: number, options: Options): number => mapOf(options)?.count(D, options.nu) ?? D;

/** Attention whose weights are products of positive features, so that the sums over keys are a state of fixed size. */
export const linearTransformer = defineAttention({
  name: 'linear-transformer',
  family: 'kernel-methods',
  summary: 'Weights φ(q)·φ(k) with a positive map φ: a recurrent network with a state of M × d numbers a head.',
  paper: {
    authors: 'Katharopoulos, Vyas, Pappas, Fleuret',
    title: 'Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention',
    year: 2020,
    arxiv: '2006.16236',
  },
  formula: 'out_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j),  φ(x) = elu(x) + 1',
  complexity: 'n·M·d',
  exactness: 'biased',
  relativeToPaper:
    'sums run by chunks instead of position by position; scale is used by taylor and rebased, whose formulas have it; a row whose features are all 0 gives 0, and a note says how many do. Maps of others: dpfp (Schlag et al. 2021, 2102.11174), hedgehog (Zhang et al. 2024, 2402.04347), t2r (Kasai et al. 2021, 2103.13076), taylor (Arora et al. 2024, 2402.18668), rebased (Aksenov et al. 2024, 2402.10644).',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: (shape, options) => mapOf(options)?.parameters?.(shape) ?? {},
  refuse: ({ D }, { featureMap, nu, eps }) => [
    ...(featureMap === 'dpfp' && nu >= 2 * D ? [`nu must be below 2·D = ${2 * D}, the neighbours of a number`] : []),
    ...(featureMap === 'exp' && eps > 0
      ? [`eps must be 0 with featureMap exp, whose sums are kept as multiples of the largest key; got ${eps}`]
      : []),
  ],
  cost: (shape, options) => {
    const { B, H, G, L, S, D } = shape;
    const rows = B * (H * L + G * S) * (mapOf(options)?.rowCost?.(D) ?? 0);
    return { multiplyAdds: rows + linearCost(shape, featuresOf(D, options)).multiplyAdds };
  },
  takesHalves: true,
  forward: (call) => {
    const { shape, options } = call;
    const { B, H, G, L, S, D } = shape;
    const lost = lostRows(shape);
    // what a backward pass computes again has been counted
    let told: Told = { onRowsLost: lost.add };
    const attended = (part: Linear): Tensor => attend(part, told).out;
    const bytes = 4 * B * featuresOf(D, options) * ((H / G) * L + S);
    const out = byKeyHeads(call, bytes, attended, { queryMap: 'q', keyMap: 'k' });
    told = {};
    return { out, notes: lost.notes };
  },
  recurrence: {
    step: (call, state) => {
      const lost = lostRows(call.shape);
      return { ...attend(call, { onRowsLost: lost.add }, state), notes: lost.notes };
    },
  },
});

type States = Readonly<Record<string, Tensor>>;

function attend(call: Linear, told: Told, state?: States): ForwardResult & { readonly state: States } {
  const { causal, lengths, options, scale, parameters } = call;
  const φ = mapOf(options);
  if (φ === undefined) return attendExp(call, told, state);
  // maps of one number keep the dtype; the others are computed in f32
  const own = (x: Tensor): Tensor =>
    options.featureMap === 'elu1' || options.featureMap === 'relu' ? x : cast(x, 'f32');
  const features = (x: Tensor, side: 'q' | 'k'): Tensor => φ.of(own(x), side, { scale, parameters, nu: options.nu });
  const { out, state: sums } = linearAttend(
    features(call.q, 'q'),
    features(realKeys(call.k, lengths), 'k'),
    own(call.v),
    {
      causal,
      eps: options.eps,
      ...told,
      ...(lengths && { lengths }),
      ...(state?.['sums'] && { initialState: state['sums'] }),
    },
  );
  return { out, state: { sums } };
}

/** φ(x) = exp(x). */
function attendExp(given: Linear, told: Told, state?: States): ForwardResult & { readonly state: States } {
  const call = { ...given, q: cast(given.q, 'f32'), k: cast(given.k, 'f32'), v: cast(given.v, 'f32') };
  const { B, H, G, L, D } = call.shape;
  const rows = reshape(call.q, [B, G, (H / G) * L, D]);
  const exponents: Exponents = { k: realKeys(call.k, call.lengths), q: (shift) => (shift ? add(rows, shift) : rows) };
  return call.causal
    ? attendExponentialsCausally(call, exponents, told, state)
    : { out: attendExponentials(call, exponents, told), state: {} };
}
