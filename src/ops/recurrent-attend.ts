import { recurrentBackward } from '../kernels/recurrent/backward.js';
import { recurrentForward } from '../kernels/recurrent/forward.js';
import { backwardProducts, forwardProducts } from '../kernels/recurrent/count.js';
import { blockSteps, chunkFor, recurrentScratch, type RecurrentSpec } from '../kernels/recurrent/spec.js';
import { empty, operation, records, scope, tensor, zeros, type Tensor } from '../tensor/index.js';
import { checkRecurrent, type RecurrentAttendOptions } from './recurrent-attend/check.js';

export type { RecurrentAttendOptions };

export interface RecurrentAttended {
  /** `[B,H,n,E]` */
  readonly out: Tensor;
  /** `[B,H,M,E]`, after the last position. */
  readonly state: Tensor;
}

/**
 * A state that is read by queries, forgets, and is written to: `out_t = S_tᵀ q_t`, `S_t = α_t ∘ S_(t−1) + k_t u_tᵀ` with α = exp(decay),
 * and u_t = v_t or, with `beta`, `u_t = β_t (v_t − (α_t ∘ S_(t−1))ᵀ k_t)`. `q`, `k` `[B,H,n,M]`, `v` `[B,H,n,E]`, f32.
 *
 * Without decay and beta it is causal linear attention without a divisor. Computed by steps of several positions; decays are only ever
 * multiplied, so that e^−20 a position is as accurate as 1, and one above 1 is not refused. Differentiable in all tensors and through
 * `state`; for that the state before every 256 positions is kept. For decays of one number a head and long texts of few heads,
 * `linearAttend` has more threads work on one head.
 * (Yang et al. 2023, arXiv:2312.06635; the delta rule: 2024, arXiv:2406.06484; both: 2024, arXiv:2412.06464.)
 *
 * @throws ShapeError or OptionError naming what does not fit.
 *
 * @example
 * const { out, state } = recurrentAttend(square(q), square(k), v);
 */
export function recurrentAttend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: RecurrentAttendOptions = {},
): RecurrentAttended {
  const shape = checkRecurrent(q, k, v, options);
  const { B, H, n, M, E } = shape;
  const { decay, beta, initialState } = options;
  const { device } = q;
  const spec: RecurrentSpec = {
    M,
    E,
    chunk: options.chunk ?? chunkFor(n),
    decay: shape.decay,
    delta: beta !== undefined,
  };
  const steps = Math.ceil(n / spec.chunk);
  const blockCount = Math.ceil(steps / blockSteps);
  return scope(() => {
    const roles = [q, k, v, decay, beta, initialState];
    const inputs = roles.filter((x) => x !== undefined);
    const [out, state] = [empty([B, H, n, E], 'f32', device), empty([B, H, M, E], 'f32', device)];
    const written = beta && empty([B, H, n, E], 'f32', device, 'saved');
    const blocks = records(inputs) ? empty([B, H, blockCount, M, E], 'f32', device, 'saved') : undefined;
    const lengths = tensor(Int32Array.from(options.lengths ?? new Array<number>(B).fill(n)), [B], { device });
    const sizes = { H, n, steps, blockCount };
    const given = {
      q: q.buffer,
      k: k.buffer,
      v: v.buffer,
      decay: (decay ?? q).buffer,
      beta: (beta ?? q).buffer,
      written: (written ?? v).buffer,
      lengths: lengths.buffer,
    };
    const { kernel, pack } = recurrentForward(spec);
    const args = pack({
      ...given,
      ...sizes,
      blocks: (blocks ?? out).buffer,
      out: out.buffer,
      initial: (initialState ?? out).buffer,
      final: state.buffer,
      hasInitial: initialState ? 1 : 0,
      keepsBlocks: blocks ? 1 : 0,
    });
    const { width } = device.info;
    device.run(kernel, args, B * H, { scratchBytes: recurrentScratch(spec, width, 'forward') });
    const { counters } = device;
    const count = forwardProducts(spec, B * H * n, B * H * steps);
    counters.multiplyAdds += count.executed;
    if (counters.wastedMultiplyAdds !== undefined) counters.wastedMultiplyAdds += count.executed - count.needed;
    const saved = [...inputs, ...[written, blocks].filter((x) => x !== undefined), lengths];
    counters.bytesMoved += [...saved, out, state].reduce((sum, x) => sum + x.byteLength, 0);
    operation(
      'recurrentAttend',
      inputs,
      [out, state],
      ([dout, dstate]) => {
        const like = (x: Tensor | undefined): Tensor | undefined => x && empty(x.shape, 'f32', device);
        const found = [...[q, k, v, decay, beta].map(like), empty(state.shape, 'f32', device)];
        const [dq, dk, dv, ddecay, dbeta, dinitial] = found;
        const cotangent = dout ?? zeros(out.shape, { device });
        const backward = recurrentBackward(spec);
        const packed = backward.pack({
          ...given,
          ...sizes,
          blocks: blocks!.buffer,
          dout: cotangent.buffer,
          dq: dq!.buffer,
          dk: dk!.buffer,
          dv: dv!.buffer,
          ddecay: (ddecay ?? dq!).buffer,
          dbeta: (dbeta ?? dq!).buffer,
          dfinal: (dstate ?? state).buffer,
          dinitial: dinitial!.buffer,
          hasFinal: dstate ? 1 : 0,
        });
        device.run(backward.kernel, packed, B * H, { scratchBytes: recurrentScratch(spec, width, 'backward') });
        counters.multiplyAdds += backwardProducts(spec, B * H * steps);
        return found.filter((_, i) => roles[i] !== undefined);
      },
      [...saved, state],
    );
    written?.dispose();
    blocks?.dispose();
    lengths.dispose();
    return { out, state };
  });
}
