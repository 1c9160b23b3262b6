import { constant } from '../../codegen/expression/index.js';
import { broadcastTo, concat, linearAttend, map, matmul, mul, neg, reshape, square, sum } from '../../ops/index.js';
import { full, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, flag, integer, type OptionValues } from '../options.js';
import { drawn, normalOf, orthogonalRows } from '../parameters.js';
import { byKeyHeads } from './by-heads.js';
import { linearCost } from './cost.js';
import { attendExponentials, attendExponentialsCausally, type Exponents, type Told } from './exponentials.js';
import { realKeys } from '../real-keys.js';
import { lostRows } from './lost.js';

const options = {
  numFeatures: integer({
    min: 1,
    default: ({ D }) => Math.max(1, Math.floor(D * Math.log(D))),
    help: 'random features; rounded up to an even number for hyperbolic ones',
  }),
  features: choice(['positive', 'hyperbolic', 'relu', 'naiveExp'], {
    default: 'positive',
    help: 'exp(ω·x − ‖x‖²/2); exp(±ω·x − ‖x‖²/2); max(ω·x, 0) + 1e-3, another kernel; exp(ω·x/√d), a common mistake',
  }),
  orthogonal: flag({ default: true, help: 'features in orthogonal blocks of d: less variance' }),
};
type Options = OptionValues<typeof options>;
type PerformerCall = Call<typeof options, 'projection', never>;

/** Rows of the projection, and features made of them. */
const rowsOf = ({ features, numFeatures }: Options): number =>
  features === 'hyperbolic' ? Math.ceil(numFeatures / 2) : numFeatures;
const featuresOf = (options: Options): number => (options.features === 'hyperbolic' ? 2 : 1) * rowsOf(options);

/** The exponential of q·k as the mean of products of positive random features. */
export const performer = defineAttention({
  name: 'performer',
  family: 'kernel-methods',
  summary:
    'exp(q·k) as the mean of products of positive random features (FAVOR+), so that sums over keys are linear in n.',
  paper: {
    authors: 'Choromanski et al.',
    title: 'Rethinking Attention with Performers',
    year: 2020,
    arxiv: '2009.14794',
  },
  formula:
    'out_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j),  φ(x) = M^(−½) exp(ω_m·x′ − ‖x′‖²/2),  x′ = √scale·x,  ω_m ~ N(0, I)',
  complexity: 'n·M·d',
  exactness: 'unbiased',
  relativeToPaper:
    "nothing is added to the features, and the exponents' shift for range is exact: by each feature's largest key, or, causally, by the largest exponent so far, where a shift by all keys would let the future through. A causal row that shares no feature with its keys within float32 gives 0, and a note says how many do. Orthogonal blocks are Haar distributed.",
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: ({ D }, options) => ({
    projection: drawn([rowsOf(options), D], options.orthogonal ? orthogonalRows : normalOf()),
  }),
  cost: (shape, options) => {
    const { B, H, G, L, S, D } = shape;
    const projections = B * (H * L + G * S) * D * (options.features === 'relu' ? rowsOf : featuresOf)(options);
    return { multiplyAdds: projections + linearCost(shape, featuresOf(options)).multiplyAdds };
  },
  forward: (call) => {
    const { B, H, G, L, S } = call.shape;
    // the features of queries and keys
    const bytes = 4 * B * featuresOf(call.options) * ((H / G) * L + S);
    const lost = lostRows(call.shape);
    // what a backward pass computes again has been counted
    let told: Told = { onRowsLost: lost.add };
    const out = byKeyHeads(call, bytes, (part) => attendFeatures(part, told));
    told = {};
    return { out, notes: lost.notes };
  },
  recurrence: {
    step: (call, state) => {
      const { notes, add: onRowsLost } = lostRows(call.shape);
      if (call.options.features !== 'relu')
        return { ...attendExponentialsCausally(call, exponentsOf(call), { onRowsLost }, state), notes };
      const { out, state: sums } = attendRelu(call, { onRowsLost }, state?.['sums']);
      return { out, notes, state: { sums } };
    },
  },
});

function attendFeatures(call: PerformerCall, told: Told): Tensor {
  if (call.options.features === 'relu') return attendRelu(call, told).out;
  const exponents = exponentsOf(call);
  return call.causal
    ? attendExponentialsCausally(call, exponents, told).out
    : attendExponentials(call, exponents, told);
}

/** The projections of queries and keys, which share the square root of the scale; one of them takes its sign. */
function scaled(call: PerformerCall): { readonly root: number; readonly q: Tensor; readonly k: Tensor } {
  const { scale, options, parameters } = call;
  const root = options.features === 'naiveExp' ? Math.abs(scale) : Math.sqrt(Math.abs(scale));
  return { root, q: mul(parameters.projection, Math.sign(scale) * root), k: mul(parameters.projection, root) };
}

/**
 * ω·q′ and ω·k′ − ‖k′‖²/2: the norm, and what the queries are shifted by, are one more column of the products. The factors M^(−½)
 * cancel, and so does exp(−‖q′‖²/2), which a whole row shares.
 */
function exponentsOf(call: PerformerCall): Exponents {
  const { options, shape } = call;
  const { B, H, G, L, D } = shape;
  const weights = scaled(call);
  const both = (x: Tensor): Tensor => (options.features === 'hyperbolic' ? concat([x, neg(x)], { axis: 0 }) : x);
  const [Wq, Wk] = [both(weights.q), both(weights.k)];
  const M = Wq.shape[0]!;
  const beside = (x: Tensor, column: Tensor): Tensor => concat([x, column], { axis: -1 });
  const project = (x: Tensor, W: Tensor): Tensor => matmul(x, W, { transposeB: true });
  const constantColumn = (value: number, rows: readonly number[]): Tensor =>
    full([...rows, 1], value, { device: call.q.device });
  const k = realKeys(call.k, call.lengths);
  const squares = (): Tensor => sum(square(k), { axes: -1, keepDims: true });
  const rows = reshape(call.q, [B, G, (H / G) * L, D]);
  return {
    k:
      options.features === 'naiveExp'
        ? project(k, Wk)
        : project(beside(k, squares()), beside(Wk, constantColumn(-0.5 * weights.root ** 2, [M]))),
    q: (shift) =>
      shift === undefined
        ? project(rows, Wq)
        : project(
            beside(rows, constantColumn(1, rows.shape.slice(0, 3))),
            beside(broadcastTo(Wq, [B, G, M, D]), reshape(shift, [B, G, M, 1])),
          ),
  };
}

function attendRelu(call: PerformerCall, told: Told, initialState?: Tensor): { out: Tensor; state: Tensor } {
  const { v, causal, lengths } = call;
  const weights = scaled(call);
  const feature = (x: Tensor, W: Tensor): Tensor =>
    map((y) => y.max(constant(0, 'f32')).add(1e-3), matmul(x, W, { transposeB: true }));
  const [q, k] = [feature(call.q, weights.q), feature(realKeys(call.k, lengths), weights.k)];
  return linearAttend(q, k, v, {
    causal,
    eps: 0,
    ...told,
    ...(lengths && { lengths }),
    ...(initialState && { initialState }),
  });
}
