import type { FloatDtype } from '../core/dtype.js';
import { defaultChunk, gpuChunk } from '../kernels/linear-attend/plan.js';
import { launchLinear } from '../kernels/linear-attend/launch.js';
import { empty, operation, scope, type Tensor } from '../tensor/index.js';
import { inFull, stored, widened } from './cast.js';
import { linearGradients } from './linear-attend/backward.js';
import { lengthsOf, publicLayout, type LinearProblem } from './linear-attend/bind.js';
import { checkLinear } from './linear-attend/check.js';
import type { LinearAttendOptions } from './linear-attend/options.js';
import { repeatHeads } from './repeat-heads.js';

export type { LinearAttendOptions };

export interface LinearAttended {
  /** `[B,H,L,E]` */
  readonly out: Tensor;
  /** f32 `[B,H,M,E]`: Σ_j k_j v_jᵀ; normalised `[B,H,M,E+1]`, the last column being Σ_j k_j. */
  readonly state: Tensor;
}

/**
 * Attention whose weights are products of features, in time and memory linear in the length:
 * `out_i = Σ_j (q_i·k_j) v_j / (Σ_j q_i·k_j + eps)`, without the divisor if not `normalise`.
 *
 * `q` `[B,H,L,M]`, `k` `[B,G,S,M]`, `v` `[B,G,S,E]` → `out` `[B,H,L,E]`; G divides H, and query head h reads key/value head
 * ⌊h·G/H⌋. With decay g the weight of key j at position i is `exp(g_(j+1) + … + g_i)` times as large. A row whose divisor is 0,
 * or so near to it (2⁻⁹⁶) that its features have underflowed, gives 0 and has no gradient.
 *
 * The state `Σ k_j v_jᵀ` is carried from chunk to chunk; gradients carry it again, so that nothing of size n·M·E/chunk is kept.
 * Differentiable in q, k, v, `initialState`, `decay` and through `state`. f16 and bf16 are widened for the call,
 * and again for its gradient; `out` is then of their dtype, and `state` is f32.
 * (Katharopoulos et al. 2020, arXiv:2006.16236; chunks: Hua et al. 2022, arXiv:2202.10447; decay: Yang et al. 2023,
 * arXiv:2312.06635.)
 *
 * @throws ShapeError or OptionError naming what does not fit.
 *
 * @example
 * const { out, state } = linearAttend(square(q), square(k), v, { causal: true });
 */
export function linearAttend(q: Tensor, k: Tensor, v: Tensor, options: LinearAttendOptions = {}): LinearAttended {
  const shape = checkLinear(q, k, v, options);
  const { causal = false, normalise = true, eps = 1e-6, initialState, decay } = options;
  const { B, H, S } = shape;
  return scope(() => {
    // the gradient of a decay needs those of k and v for each query head
    const apart = decay?.requiresGradient === true;
    const own = (x: Tensor): Tensor => (apart ? repeatHeads(x, H) : x);
    const problem: LinearProblem = {
      ...shape,
      G: apart ? H : shape.G,
      q,
      k: own(k),
      v: own(v),
      initialState,
      decay,
      causal,
      normalise,
      eps,
      chunk: options.chunk ?? (q.device.info.kind === 'webgpu' ? gpuChunk : defaultChunk(q.device.info.width)),
      lengths: options.lengths ?? new Array<number>(B).fill(S),
    };
    return attendOnce(problem, options.onRowsLost);
  });
}

/** On the tape, with q, k and v as they were given. */
function attendOnce(problem: LinearProblem, onRowsLost?: LinearAttendOptions['onRowsLost']): LinearAttended {
  const { q, k, v, initialState, decay, B, H, L, M, E, normalise } = problem;
  const { device } = q;
  const wide = inFull(problem);
  const sums = empty([B, H, L, E], 'f32', device);
  const state = empty([B, H, M, normalise ? E + 1 : E], 'f32', device);
  const norm = normalise ? empty([B, H, L], 'f32', device, 'saved') : undefined;
  const lengths = lengthsOf(problem);
  try {
    launchLinear(device, {
      ...problem,
      reverse: false,
      q: wide.q.buffer,
      k: wide.k.buffer,
      v: wide.v.buffer,
      out: sums.buffer,
      ...(norm && { norm: norm.buffer }),
      decay: decay?.buffer,
      initial: initialState?.buffer,
      final: state.buffer,
      layout: publicLayout(problem),
      lengths,
      extra: undefined,
    });
  } finally {
    device.free(lengths.buffer);
  }
  if (norm && onRowsLost) reportLost(norm, problem, onRowsLost);
  const out = stored(sums, q.dtype as FloatDtype);
  const roles = [q, k, v, initialState, decay];
  const inputs = roles.filter((x) => x !== undefined);
  device.counters.bytesMoved += [...inputs, out, state].reduce((sum, x) => sum + x.byteLength, 0);
  operation(
    'linearAttend',
    inputs,
    [out, state],
    ([dout, dstate], needs) => {
      const present = roles.map((x) => x !== undefined);
      // by role: one tensor may have two
      const wanted = present.map((here, i) => here && needs[present.slice(0, i).filter(Boolean).length] === true);
      const [wq, wk, wv, winitial, wdecay] = wanted as [boolean, boolean, boolean, boolean, boolean];
      const results = { out: widened(out), state, norm };
      const want = { dq: wq, dk: wk, dv: wv, dinitial: winitial, ddecay: wdecay };
      const { dq, dk, dv, dinitial, ddecay } = linearGradients(
        { ...problem, ...inFull(problem) },
        results,
        dout,
        dstate,
        want,
      );
      return [dq, dk, dv, dinitial, ddecay].filter((_, i) => present[i]);
    },
    [...inputs, out, state, ...(norm ? [norm] : [])],
  );
  norm?.dispose();
  return { out, state };
}

/** Counts rows whose divisor is 0 though they see keys: their features have underflowed, or are all 0. */
function reportLost(norm: Tensor, { B, H, L, S, causal }: LinearProblem, tell: (rows: number) => void): void {
  // the first rows of a causal call with L > S see no key
  const blind = causal ? Math.max(0, L - S) : 0;
  norm.device.guard(norm.buffer, (bytes) => {
    const divisors = new Float32Array(bytes.buffer, bytes.byteOffset, B * H * L);
    let lost = 0;
    for (let head = 0; head < B * H; head++) {
      for (let row = blind; row < L; row++) if (divisors[head * L + row] === 0) lost++;
    }
    if (lost > 0) tell(lost);
  });
}
