import { attendForward, forwardParameters, forwardScratch } from '../../kernels/attend/forward.js';
import { empty, type Tensor } from '../../tensor/tensor.js';
import { type NonFiniteFlags, sharedArguments, Workspace, type AttendCall, type AttendInputs } from './bind.js';

export interface AttendValues {
  readonly out: Tensor;
  readonly logsumexp: Tensor;
}

/** Attention over the pairs of one plan, written to `before` where earlier plans left theirs. */
export function runForward(
  call: AttendCall,
  { q, k, v }: AttendInputs,
  nonFinite: NonFiniteFlags,
  before?: AttendValues,
): AttendValues {
  const { shape, plan } = call;
  const { B, H, L } = shape;
  const { D, E, period, queryTile } = plan.spec;
  const { device } = q;
  const { out, logsumexp } = before ?? {
    out: empty([B, H, L, E], 'f32', device),
    logsumexp: empty([B, H, L], 'f32', device),
  };
  const workspace = new Workspace(device);
  try {
    const args = sharedArguments(workspace, call, { q, k, v, logsumexp }, nonFinite);
    const { width } = device.info;
    const tiles = Math.ceil(L / (period * queryTile));
    const own = { out: out.buffer, keyRows: call.keyRows ?? shape.S };
    const tasks = B * H * period * tiles;
    device.run(attendForward(plan.spec), forwardParameters.pack({ ...args, ...own }), tasks, {
      scratchBytes: forwardScratch(width, plan.spec),
      // neighbours read much the same keys
      grain: Math.min(8, Math.max(1, Math.floor(tasks / (32 * device.info.threads)))),
    });
    device.counters.multiplyAdds += plan.visited.pairs * (D + E);
    return { out, logsumexp };
  } catch (error) {
    if (before === undefined) {
      out.dispose();
      logsumexp.dispose();
    }
    throw error;
  } finally {
    workspace.dispose();
  }
}
