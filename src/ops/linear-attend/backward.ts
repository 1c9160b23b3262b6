import { attendDelta, deltaParameters, deltaRows } from '../../kernels/attend/delta.js';
import { cotangentParameters, cotangentRows, linearCotangent } from '../../kernels/linear-attend/cotangent.js';
import { launchLinear, type LinearCall } from '../../kernels/linear-attend/launch.js';
import { empty, tensor, zeros, type Tensor } from '../../tensor/index.js';
import { add, mul, sub } from '../arithmetic.js';
import { sum } from '../reduce.js';
import { cumulativeSum } from '../scan.js';
import { pad, reshape, slice } from '../shape.js';
import { lengthsOf, publicLayout, transposedLayout, type LinearProblem } from './bind.js';

interface Results {
  readonly out: Tensor;
  readonly state: Tensor;
  /** `[B,H,L]`: the divisors, if normalised. */
  readonly norm: Tensor | undefined;
}

type Name = 'dq' | 'dk' | 'dv' | 'dinitial' | 'ddecay';

/**
 * With U the sums before the division, dU their gradient and dz that of the divisor (Katharopoulos et al. 2020, section
 * 3.3.1): `dq_i = Σ_j (dU_i·v_j + dz_i) k_j` over the keys that i sees, and over the queries that see j
 * `dk_j = Σ_i (dU_i·v_j + dz_i) q_i`, `dv_j = Σ_i (q_i·k_j) dU_i`. Each is a sweep of the forward kernel, the last two from the
 * end. What they carry there begins with the gradient of the final state and ends as that of the initial one.
 */
export function linearGradients(
  problem: LinearProblem,
  results: Results,
  dout: Tensor | undefined,
  dstate: Tensor | undefined,
  want: Readonly<Record<Name, boolean>>,
): Partial<Record<Name, Tensor>> {
  const { q, k, v, initialState, decay, M, E } = problem;
  const { device } = q;
  const { dsum, dnorm } = behindDivision(results, dout);
  const lengths = lengthsOf(problem);
  const sweep = (
    own: Pick<LinearCall, 'M' | 'E' | 'reverse' | 'layout'> & Partial<LinearCall>,
    x: readonly Tensor[],
  ) => {
    const [rows, keys, values, out] = x as [Tensor, Tensor, Tensor, Tensor];
    device.counters.bytesMoved += x.reduce((bytes, one) => bytes + one.byteLength, 0);
    launchLinear(device, {
      ...problem,
      normalise: false,
      q: rows.buffer,
      k: keys.buffer,
      v: values.buffer,
      out: out.buffer,
      decay: decay?.buffer,
      initial: undefined,
      lengths,
      extra: undefined,
      ...own,
    });
  };
  const divides = (of: 'row' | 'key') => dnorm && { of, buffer: dnorm.buffer };
  const transposed = { M: E, E: M, layout: transposedLayout(problem) };
  const found: Partial<Record<Name, Tensor>> = {};
  const like = (input: Tensor): Tensor => empty(input.shape, 'f32', device);
  try {
    if (want.dq || want.ddecay) {
      found.dq = like(q);
      const own = { ...transposed, reverse: false, initial: initialState?.buffer, extra: divides('row') };
      sweep(own, [dsum, v, k, found.dq]);
    }
    if (want.dk || want.ddecay || want.dinitial) {
      found.dk = like(k);
      if (want.dinitial) found.dinitial = like(results.state);
      const ends = { initial: dstate?.buffer, final: found.dinitial?.buffer };
      sweep({ ...transposed, reverse: true, ...ends, extra: divides('key') }, [v, dsum, q, found.dk]);
    }
    if (want.dv) {
      found.dv = like(v);
      const own = { M, E, layout: publicLayout(problem), reverse: true, initial: dstate?.buffer };
      sweep(own, [k, q, dsum, found.dv]);
    }
    if (want.ddecay) found.ddecay = decayGradient(problem, results, dstate, found.dq!, found.dk!);
  } finally {
    device.free(lengths.buffer);
  }
  return found;
}

/** The gradients of the sums and of the divisor. */
function behindDivision({ out, norm }: Results, dout: Tensor | undefined): { dsum: Tensor; dnorm?: Tensor } {
  const { device } = out;
  if (dout === undefined || norm === undefined) {
    const dsum = dout ?? zeros(out.shape, { device });
    return norm ? { dsum, dnorm: zeros(norm.shape, { device }) } : { dsum };
  }
  const [dsum, dnorm] = [empty(out.shape, 'f32', device, 'workspace'), empty(norm.shape, 'f32', device, 'workspace')];
  const rows = norm.size;
  const args = { dout: dout.buffer, out: out.buffer, norm: norm.buffer, dsum: dsum.buffer, dnorm: dnorm.buffer };
  const sizes = { rows, columns: out.shape.at(-1)! };
  device.run(linearCotangent, cotangentParameters.pack({ ...args, ...sizes }), Math.ceil(rows / cotangentRows));
  return { dsum, dnorm };
}

/**
 * With b_t = g_0 + … + g_t, the weight exp(b_i − b_j) is in every term of q_i·dq_i and of k_j·dk_j, so
 * `db_t = q_t·dq_t − k_t·dk_t`, and the final state adds ⟨dstate, state⟩ at the end; `dg_t = Σ_(s ≥ t) db_s`.
 */
function decayGradient(
  { q, k, B, L, S, lengths }: LinearProblem,
  { state }: Results,
  dstate: Tensor | undefined,
  dq: Tensor,
  dk: Tensor,
): Tensor {
  const ofQueries = rowProducts(q, dq);
  // queries before the first key have no decay
  const placed =
    L > S
      ? slice(ofQueries, { axis: 2, start: L - S })
      : pad(ofQueries, [
          [0, 0],
          [0, 0],
          [S - L, 0],
        ]);
  const within = cumulativeSum(sub(placed, rowProducts(k, dk)), { reverse: true });
  const { shape } = state;
  const whole = dstate
    ? add(within, reshape(sum(mul(state, dstate), { axes: [2, 3] }), [...shape.slice(0, 2), 1]))
    : within;
  if (lengths.every((length) => length === S)) return whole;
  const exists = Float32Array.from({ length: B * S }, (_, i) => (i % S < lengths[Math.floor(i / S)]! ? 1 : 0));
  return mul(whole, tensor(exists, [B, 1, S], { device: q.device }));
}

/** `[B,H,n]`: the product of each row of x with that of y. */
function rowProducts(x: Tensor, y: Tensor): Tensor {
  const { device } = x;
  const delta = empty(x.shape.slice(0, 3), 'f32', device);
  const sizes = { rows: delta.size, columns: x.shape[3]!, hasDlogsumexp: 0 };
  const args = { dout: x.buffer, out: y.buffer, dlogsumexp: x.buffer, delta: delta.buffer, ...sizes };
  device.run(attendDelta, deltaParameters.pack(args), Math.ceil(delta.size / deltaRows));
  return delta;
}
