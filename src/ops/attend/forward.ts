import { attendForward, forwardParameters, forwardScratch } from '../../kernels/attend/forward.js';
import { scope } from '../../tensor/scope.js';
import { empty, type Tensor } from '../../tensor/tensor.js';
import { sharedArguments } from './arguments.js';
import type { AttendCall } from './call.js';
import type { PartOnDevice } from './on-device.js';
import type { AttendInputs } from './sizes.js';

export interface AttendValues {
  readonly out: Tensor;
  readonly logsumexp: Tensor;
}

/** Attention in f32: each part of the plan adds its pairs to what those before it found. `k` and `v` may have more rows than are attended to. */
export function forward(call: AttendCall, { q, k, v }: AttendInputs): AttendValues {
  const [B, H, L] = q.shape as [number, number, number];
  return scope(() => {
    const values = {
      out: empty([B, H, L, v.shape[3]!], 'f32', q.device),
      logsumexp: empty([B, H, L], 'f32', q.device),
    };
    for (const part of call.parts) {
      // what is picked for a part lives as long as the part
      scope(() => forwardOfPart(call, part, { q, k: part.rows.pick(k), v: part.rows.pick(v) }, values));
    }
    return values;
  });
}

function forwardOfPart(
  call: AttendCall,
  part: PartOnDevice,
  inputs: AttendInputs,
  { out, logsumexp }: AttendValues,
): void {
  const { spec, shape, visited } = part;
  const { D, E, period, queryTile } = spec;
  const { device } = inputs.q;
  const { width, threads } = device.info;
  const own = { out: out.buffer, keyRows: inputs.k.shape[2]! };
  const shared = sharedArguments(call, part, inputs, logsumexp);
  const tasks = shape.B * shape.H * period * Math.ceil(shape.L / (period * queryTile));
  device.run(attendForward(spec), forwardParameters.pack({ ...shared, ...own }), tasks, {
    scratchBytes: forwardScratch(width, spec),
    // neighbours read much the same keys
    grain: Math.min(8, Math.max(1, Math.floor(tasks / (32 * threads)))),
  });
  device.counters.multiplyAdds += visited.pairs * (D + E);
}
