import { attendForward, forwardParameters, forwardScratch } from '../../kernels/attend/forward.js';
import { attendTiles } from '../../kernels/attend/layout.js';
import { empty, type Tensor } from '../../tensor/tensor.js';
import { sharedArguments, Workspace, type AttendCall } from './bind.js';

export interface AttendValues {
  readonly out: Tensor;
  readonly logsumexp: Tensor;
}

/** Attention over the pairs of one plan; with `before`, those are added to what it holds, in place. */
export function runForward(call: AttendCall, q: Tensor, k: Tensor, v: Tensor, before?: AttendValues): AttendValues {
  const { shape, plan } = call;
  const { B, H, L } = shape;
  const { D, E, period } = plan.spec;
  const { device } = q;
  const { out, logsumexp } = before ?? {
    out: empty([B, H, L, E], 'f32', device),
    logsumexp: empty([B, H, L], 'f32', device),
  };
  const workspace = new Workspace(device);
  try {
    const args = sharedArguments(workspace, call, q, k, v, logsumexp, [v]);
    const { width } = device.info;
    const tiles = Math.ceil(L / (period * attendTiles(width).queryTile));
    const own = { out: out.buffer, resume: before ? 1 : 0 };
    device.run(attendForward(plan.spec), forwardParameters.pack({ ...args, ...own }), B * H * period * tiles, {
      scratchBytes: forwardScratch(width, D, E),
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
