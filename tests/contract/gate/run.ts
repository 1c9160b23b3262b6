import type { AnyOptions, AttentionResult, Mechanism } from '../../../src/attention/index.js';
import type { Device } from '../../../src/devices/index.js';
import { softcap } from '../../../src/scores/index.js';
import { disposeAll, gradients, noGradient, tensor, type Tensor } from '../../../src/tensor/index.js';
import { callOptions, isReal, type Data } from './data.js';
import { softcapAt, type Results } from './expected.js';
import type { Case } from './spec.js';

export interface RunOptions {
  /** Forward only; default false. */
  readonly forward?: boolean;
  /** Leaves parameters to be drawn by the mechanism; default false. */
  readonly redraw?: boolean;
}

/** The tensors of a case on a device. */
export interface Placed {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly options: AnyOptions;
  /** Learned parameters and further projections by result name. */
  readonly learned: Readonly<Record<string, Tensor>>;
  readonly all: readonly Tensor[];
}

export function place(device: Device, one: Case, data: Data, { forward = false, redraw = false }: RunOptions): Placed {
  const { B, H, G, L, S, D, E } = one.shape;
  const all: Tensor[] = [];
  const create = (x: Float32Array, shape: readonly number[], tracked = true): Tensor => {
    const made = tensor(x, shape, { device, requiresGradient: tracked && !forward });
    all.push(made);
    return made;
  };
  const [q, k, v] = [create(data.q, [B, H, L, D]), create(data.k, [B, G, S, D]), create(data.v, [B, G, S, E])];
  const learned: Record<string, Tensor> = {};
  const parameters: Record<string, Tensor> = {};
  const inputs: Record<string, Tensor> = {};
  for (const [name, x] of redraw ? [] : Object.entries(data.parameters)) {
    parameters[name] = create(x.data, x.shape, x.learned);
    if (x.learned) learned[`d:${name}`] = parameters[name];
  }
  for (const [name, x] of Object.entries(data.inputs)) {
    learned[`d:${name}`] = inputs[name] = create(x.data, x.shape);
  }
  const options = {
    ...callOptions(one),
    ...(one.softcap === true && { score: softcap(softcapAt) }),
    seed: data.seed,
    parameters,
    inputs,
  };
  return { q: q, k: k, v: v, options: options, learned, all };
}

/** Runs a mechanism on the numbers of a case and reads everything back; nothing is left on the device. */
export async function run(
  device: Device,
  mechanism: Mechanism,
  one: Case,
  data: Data,
  how: RunOptions = {},
): Promise<{ readonly results: Results; readonly result: AttentionResult }> {
  const { q, k, v, options, learned, all } = place(device, one, data, how);
  const held: (Tensor | undefined)[] = [...all];
  try {
    const call = (): AttentionResult => mechanism.run(q, k, v, options);
    const result = how.forward === true ? noGradient(call) : call();
    held.push(result.out, result.logsumexp);
    const { E } = one.shape;
    const real = (x: ArrayLike<number>, columns: number): Float32Array =>
      Float32Array.from(x, (value, at) => (isReal(one, at, columns) ? value : 0));
    const results: Record<string, ArrayLike<number>> = { out: real(await result.out.data(), E) };
    if (result.logsumexp) results['logsumexp'] = real(await result.logsumexp.data(), 1);
    if (how.forward !== true) {
      const cotangent = tensor(data.dout, result.out.shape, { device });
      held.push(cotangent);
      const names = ['dq', 'dk', 'dv', ...Object.keys(learned)];
      // a mechanism that draws random numbers alone may depend on nothing
      const found = result.out.requiresGradient
        ? gradients([result.out], [q, k, v, ...Object.values(learned)], [cotangent])
        : [];
      held.push(...found);
      for (const [n, gradient] of found.entries()) results[names[n]!] = await gradient.data();
    }
    return { results, result };
  } finally {
    disposeAll(held.filter((x) => x !== undefined));
  }
}
