import { launchScatterAdd } from '../../kernels/gather/launch.js';
import { tensor, zeros } from '../../tensor/create.js';
import { scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { pickRows } from '../gather-rows.js';
import { runBackward, type AttendGradients } from './backward.js';
import type { AttendCall, AttendInputs, NonFinite, NonFiniteFlags } from './bind.js';
import { runForward, type AttendValues } from './forward.js';

/** `runForward`, with the keys and values of the plan picked first where it names some. */
export function forwardOfPart(
  call: AttendCall,
  { q, k, v }: AttendInputs,
  nonFinite: NonFiniteFlags,
  before: AttendValues | undefined,
): AttendValues {
  const { keys } = call.plan;
  if (keys === undefined) return runForward(call, { q, k, v }, nonFinite, before);
  return scope(() => {
    const index = indexOf(keys, k);
    const picked = { q, k: pickRows(k, index), v: pickRows(v, index) };
    return runForward(placed(call, keys), picked, nonFinite, before);
  });
}

/** `runBackward`, with the keys and values of the plan picked first and their gradients put in place. */
export function backwardOfPart(
  call: AttendCall,
  { q, k, v }: AttendInputs,
  values: AttendValues,
  dout: Tensor,
  dlogsumexp: Tensor | undefined,
  learned: readonly Tensor[],
  nonFinite: NonFinite,
  before: AttendGradients | undefined,
): AttendGradients {
  const { keys } = call.plan;
  if (keys === undefined) return runBackward(call, { q, k, v }, values, dout, dlogsumexp, learned, nonFinite, before);
  const { device } = q;
  return scope(() => {
    const index = indexOf(keys, k);
    const picked = { q, k: pickRows(k, index), v: pickRows(v, index) };
    const own: AttendGradients = {
      dq: before?.dq ?? zeros(q.shape, { device }),
      dk: zeros(picked.k.shape, { device }),
      dv: zeros(picked.v.shape, { device }),
      dtables: before?.dtables ?? [],
    };
    const { dq, dtables } = runBackward(placed(call, keys), picked, values, dout, dlogsumexp, learned, nonFinite, own);
    const intoPlace = (d: Tensor, whole: Tensor): Tensor => {
      const [B, G, S, columns] = whole.shape as [number, number, number, number];
      const rows = { outer: B * G, length: S, inner: columns, count: keys.length, along: true };
      launchScatterAdd(device, 'f32', index.buffer, d.buffer, whole.buffer, rows);
      return whole;
    };
    const dk = intoPlace(own.dk, before?.dk ?? zeros(k.shape, { device }));
    const dv = intoPlace(own.dv, before?.dv ?? zeros(v.shape, { device }));
    return { dq, dk, dv, dtables };
  });
}

const placed = (call: AttendCall, keys: Int32Array): AttendCall => ({
  ...call,
  shape: { ...call.shape, S: keys.length },
  keyRows: keys.length,
});

/** The same rows for every batch and head, `[B, G, m]`. */
function indexOf(keys: Int32Array, k: Tensor): Tensor {
  const [B, G] = k.shape as [number, number];
  const all = new Int32Array(B * G * keys.length);
  for (let head = 0; head < B * G; head++) all.set(keys, head * keys.length);
  return tensor(all, [B, G, keys.length], { device: k.device });
}
