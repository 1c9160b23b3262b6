import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { expectClose, type Numbers } from './compare.js';
import { centralDifferences } from './gradient.js';
import { full } from './full.js';
import { uniform } from './random.js';

/** `x => x` for the float64 oracle, `Math.fround` for plain float32 code: applied after every arithmetic operation. */
export type Round = (x: number) => number;
export const exact: Round = (x) => x;

/** A differentiable operation, and the naive code it must agree with. */
export interface OperationCase {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  /** Range of the random inputs; default −1 … 1. */
  readonly range?: readonly [number, number];
  readonly inputs?: readonly Numbers[];
  readonly run: (...inputs: Tensor[]) => Tensor;
  readonly forward: (r: Round, ...inputs: Numbers[]) => Numbers;
  /** Gradients of the inputs from that of the output; checked against central differences of `forward`. */
  readonly backward?: (r: Round, d: Numbers, ...inputs: Numbers[]) => readonly Numbers[];
}

/** Elements of each input whose gradient is checked against differences: a check of the test, on whatever device. */
const SAMPLED = full ? 50 : 12;

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

/** Checks values, and gradients with random cotangents, within the derived budgets. */
export async function checkOperation(device: Device, test: OperationCase, seed = 1): Promise<void> {
  const { name, shapes, range = [-1, 1], run, forward, backward } = test;
  const inputs =
    test.inputs?.map((input) => Float32Array.from(input)) ??
    shapes.map((shape, i) => uniform(seed * 31 + i, sizeOf(shape), ...range));
  const { y, tensors } = scope(() => {
    const leaves = shapes.map((shape, i) =>
      tensor(inputs[i]!, shape, { device, requiresGradient: backward !== undefined }),
    );
    return { y: run(...leaves), tensors: leaves };
  });
  const values = await y.data();
  expectClose(`${name} forward`, values, forward(exact, ...inputs), { budget: forward(Math.fround, ...inputs), seed });
  if (backward) {
    const d = uniform(seed * 31 + 17, values.length);
    const want = backward(exact, d, ...inputs);
    const differences = centralDifferences((...xs) => forward(exact, ...xs), inputs, d, { limit: SAMPLED });
    const plain = backward(Math.fround, d, ...inputs);
    const got = scope(() => gradients([y], tensors, [tensor(d, y.shape, { device })]));
    for (const [i, gradient] of got.entries()) {
      const scale = Math.max(1, ...Array.from(want[i]!, Math.abs));
      const stride = Math.ceil(inputs[i]!.length / SAMPLED);
      const checked = differences[i]!.map((difference, at) => (at % stride === 0 ? difference : want[i]![at]!));
      expectClose(`${name}: the test's own gradient ${i}`, want[i]!, checked, { budget: 1e-6 * scale, seed });
      expectClose(`${name} gradient ${i}`, await gradient.data(), want[i]!, { budget: plain[i]!, seed });
    }
    for (const gradient of got) gradient.dispose();
  }
  for (const one of [y, ...tensors]) one.dispose();
}
