import type { AnyOptions, Mechanism } from '../attention/index.js';
import { normal } from '../core/random.js';
import type { Device } from '../devices/index.js';
import { scope, tensor } from '../tensor/index.js';

/** The effective weights of one head as rows: how much each query takes of each key's value. */
export interface Weights {
  readonly length: number;
  /** `[length, length]` */
  readonly values: Float32Array;
}

/** The largest head the kernels take, so the most keys that one run can tell apart. */
export const mostKeys = 256;

/**
 * Reads the effective weights of a mechanism that is linear in v: with the identity as values, row i of the result is the weights of
 * query i. Queries and keys are a random walk, so that near positions are alike, as in text.
 */
export async function effectiveWeights(
  device: Device,
  mechanism: Mechanism,
  length: number,
  options: AnyOptions,
): Promise<Weights> {
  const headDim = 32;
  const walk = (purpose: string): Float32Array => {
    const steps = normal(1, purpose, length * headDim);
    for (let i = headDim; i < steps.length; i++) steps[i] = 0.85 * steps[i - headDim]! + 0.53 * steps[i]!;
    return steps.map((x) => 0.9 * x);
  };
  const content = walk('weights content');
  const noise = normal(1, 'weights noise', length * headDim);
  const out = scope(() => {
    const q = tensor(content, [1, 1, length, headDim], { device });
    const k = tensor(
      content.map((x, i) => x + 0.4 * noise[i]!),
      [1, 1, length, headDim],
      { device },
    );
    const identity = Float32Array.from({ length: length * length }, (_, i) =>
      Math.floor(i / length) === i % length ? 1 : 0,
    );
    const v = tensor(identity, [1, 1, length, length], { device });
    return mechanism.run(q, k, v, options).out;
  });
  const values = (await out.data()) as Float32Array;
  out.dispose();
  return { length, values };
}
