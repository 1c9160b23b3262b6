import { constant, select, type F32 } from '../../codegen/expression/index.js';
import { linearAttend, map } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, number, type OptionValues } from '../options.js';
import { linearCost } from './cost.js';
import { lostRows } from './lost.js';
import { realKeys } from './exponentials.js';

const options = {
  featureMap: choice(['elu1', 'relu'], { default: 'elu1', help: 'φ: elu(x) + 1, or max(x, 0)' }),
  eps: number({ min: 0, max: 1, default: 0, help: "added to the divisor; the authors' code has 1e-6" }),
};

const featureMaps: Record<OptionValues<typeof options>['featureMap'], (x: F32) => F32> = {
  elu1: (x) => select(x.gt(0), x.add(1), x.exp()),
  relu: (x) => x.max(constant(0, 'f32')),
};

/** Attention whose weights are products of positive features, so that the sums over keys are a state of fixed size. */
export const linearTransformer = defineAttention({
  name: 'linear-transformer',
  family: 'kernel-methods',
  summary: 'Weights φ(q)·φ(k) with a fixed positive map φ: a recurrent network with a state of d × d numbers a head.',
  paper: {
    authors: 'Katharopoulos, Vyas, Pappas, Fleuret',
    title: 'Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention',
    year: 2020,
    arxiv: '2006.16236',
  },
  formula: 'out_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j),  φ(x) = elu(x) + 1',
  complexity: 'n·d²',
  exactness: 'biased',
  relativeToPaper:
    'sums run by chunks instead of position by position; scale is not used, as the formula has none; a row whose features are all 0 gives 0, and a note says how many do.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  cost: (shape) => linearCost(shape, shape.D),
  takesHalves: true,
  forward: (call) => {
    const { out, notes } = attend(call);
    return { out, notes };
  },
  recurrence: {
    step: (call, state) => {
      const { out, notes, state: sums } = attend(call, state?.['sums']);
      return { out, notes, state: { sums } };
    },
  },
});

function attend(
  call: Call<typeof options>,
  initialState?: Tensor,
): { readonly out: Tensor; readonly state: Tensor; readonly notes: readonly string[] } {
  const { q, k, v, causal, lengths } = call;
  const { featureMap, eps } = call.options;
  const φ = featureMaps[featureMap];
  const { notes, add: onRowsLost } = lostRows(call.shape);
  const found = linearAttend(map(φ, q), map(φ, realKeys(k, lengths)), v, {
    causal,
    eps,
    onRowsLost,
    ...(lengths && { lengths }),
    ...(initialState && { initialState }),
  });
  return { ...found, notes };
}
