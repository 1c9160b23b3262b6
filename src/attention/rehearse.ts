import { describe, isPlainObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { checkValues, flag, notOptions, refuse, wholeFrom, type Requirement } from '../core/requirements.js';
import type { Device, DeviceLike, KernelWork } from '../devices/index.js';
import { RehearsalDevice } from '../devices/index.js';
import { disposeAll, empty, gradients, noGradient, scope, trackLeaf, writable, type Tensor } from '../tensor/index.js';
import { projectionShapes } from './call.js';
import type { AttentionShape } from './options.js';
import { Mechanism, type AnyOptions } from './mechanism.js';

/** What a run takes, in bytes and operations. */
export interface Taken {
  /** q, k, v and further projections. */
  readonly inputBytes: number;
  readonly parameterBytes: number;
  readonly outputBytes: number;
  /** Most bytes held at a time beyond inputs, parameters and outputs. In training, of both passes, without gradients. */
  readonly workspaceBytes: number;
  /** Held between the passes of a training step beyond inputs, parameters and outputs; 0 without training. */
  readonly savedBytes: number;
  /** Gradients of inputs and parameters, and of the outputs; 0 without training. */
  readonly gradientBytes: number;
  /** Most bytes held at a time, everything counted. */
  readonly peakBytes: number;
  /** Tables of attention's plans, which layers of one plan share; 0 unless the backward pass reads them. */
  readonly planBytes: number;
  /** The peak of all else: where other layers hold the plan too, both add up. */
  readonly peakBesidePlans: number;
  /** Multiply-adds of matrix products, executed and needed: tiles that a mask cuts are executed whole. */
  readonly multiplyAdds: number;
  readonly neededMultiplyAdds: number;
  readonly bytesMoved: number;
  readonly dispatches: number;
}

export interface Rehearsal extends Taken {
  /** What each kernel did, by name. */
  readonly work: ReadonlyMap<string, Readonly<KernelWork>>;
}

export interface RehearseOptions {
  /** Forward and backward; default false. */
  readonly training?: boolean;
  /** The device that is rehearsed for. */
  readonly like: DeviceLike;
  /** Whether the mechanism is given further projections of their own; default false: q, k and v stand in. */
  readonly inputs?: boolean;
  /** Whether `neededMultiplyAdds` leaves out pairs that masks hide, which may take long to count; default true. */
  readonly countPairs?: boolean;
  /** Kernels after which it ends with a RehearsalTooLong; default: no limit. */
  readonly mostDispatches?: number;
}

const someMachine: Requirement = {
  must: 'the info of a device, or { width, threads }',
  holds: (like) =>
    [Object(like).width, Object(like).threads].every((count) => Number.isInteger(count) && (count as number) > 0),
};

/**
 * What a call would take, without computing it: the mechanism runs on a device that only counts.
 *
 * @throws as the call itself.
 */
export function rehearse(
  mechanism: Mechanism,
  shape: AttentionShape,
  options: AnyOptions,
  given: RehearseOptions,
): Rehearsal {
  const wanted = { training: flag, like: someMachine, countPairs: flag, inputs: flag, mostDispatches: wholeFrom(1) };
  checkValues('rehearse', given, wanted, ['like']);
  const { training = false, like, inputs: own = false, countPairs = true, mostDispatches } = given;
  if (!(mechanism instanceof Mechanism))
    throw new OptionError(`rehearse: takes a mechanism; got ${describe(mechanism)}.`);
  if (!isPlainObject(options)) refuse('rehearse', [notOptions(options, [])]);
  mechanism.settle(shape, options);
  const device = new RehearsalDevice({ like, countPairs, ...(mostDispatches !== undefined && { mostDispatches }) });
  const shapes = projectionShapes(shape);
  const make = (of: 'q' | 'k' | 'v'): Tensor => {
    const x = empty(shapes[of], 'f32', device);
    if (training) trackLeaf(x);
    return x;
  };
  const qkv: Inputs = [make('q'), make('k'), make('v')];
  const further = Object.entries<'q' | 'k' | 'v'>((own && mechanism.definition.inputs) || {});
  const inputs = Object.fromEntries(further.map(([name, of]) => [name, make(of)]));
  try {
    return { ...measure(device, mechanism, qkv, { ...options, inputs }, training), work: device.work };
  } finally {
    disposeAll([qkv, inputs]);
  }
}

type Inputs = readonly [q: Tensor, k: Tensor, v: Tensor];

/**
 * Runs a call once and reads from the device's ledger and counters what it took. Works on every device; q, k, v and `options.inputs`
 * require gradients when `training`.
 */
export function measure(
  device: Device,
  mechanism: Mechanism,
  [q, k, v]: Inputs,
  options: AnyOptions,
  training: boolean,
): Taken {
  const { ledger, counters } = device;
  const given = [q, k, v, ...Object.values(options.inputs ?? {}).filter((x) => x !== undefined)];
  const shape = {
    B: q.shape[0]!,
    H: q.shape[1]!,
    G: k.shape[1]!,
    L: q.shape[2]!,
    S: k.shape[2]!,
    D: q.shape[3]!,
    E: v.shape[3]!,
  };
  return scope(() => {
    const parameters = mechanism.parameters(shape, { ...options, device });
    const parameterBytes = total(Object.values(parameters));
    const call = { ...options, parameters: { ...parameters, ...options.parameters } };
    const start = ledger.mark();
    const before = { ...counters };
    const run = (): Tensor => {
      const { out, ...rest } = mechanism.run(q, k, v, call);
      disposeAll(rest);
      return out;
    };
    const out = training ? run() : noGradient(run);
    const outputBytes = out.byteLength;
    const planBytes = training ? ledger.live('plan') : 0;
    const savedBytes = training ? ledger.besidePlans - start - outputBytes : 0;
    let gradientBytes = 0;
    if (training && out.requiresGradient) {
      const leaves = [...given, ...Object.values(parameters)].filter((x) => x.requiresGradient);
      const cotangent = empty(out.shape, 'f32', device);
      if (device.info.kind !== 'rehearsal') device.write(writable(cotangent), new Float32Array(cotangent.size).fill(1));
      gradients([out], leaves, [cotangent], { release: true });
      gradientBytes = total(leaves) + cotangent.byteLength;
    }
    const inputBytes = total(given);
    return {
      inputBytes,
      parameterBytes,
      outputBytes,
      savedBytes,
      gradientBytes,
      workspaceBytes: Math.max(0, ledger.peak - start - outputBytes - gradientBytes),
      peakBytes: ledger.peak,
      planBytes,
      peakBesidePlans: ledger.peakBesidePlans,
      multiplyAdds: counters.multiplyAdds - before.multiplyAdds,
      neededMultiplyAdds:
        counters.multiplyAdds -
        before.multiplyAdds -
        ((counters.wastedMultiplyAdds ?? 0) - (before.wastedMultiplyAdds ?? 0)),
      bytesMoved: counters.bytesMoved - before.bytesMoved,
      dispatches: counters.dispatches - before.dispatches,
    };
  });
}

const total = (tensors: readonly Tensor[]): number => tensors.reduce((bytes, x) => bytes + x.byteLength, 0);
