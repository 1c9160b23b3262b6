import type { Module } from '../../src/nn/index.js';
import type { Device } from '../../src/devices/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph, type Matrix } from '../oracles/graph.js';
import { expectClose, OrderBudgets, refinedBudget } from '../support/compare.js';
import { uniform } from '../support/random.js';

type Results = Record<string, ArrayLike<number>>;

/** A module, and the formula it must agree with: of x as `[rows × columns]`, and parameters where a vector is `[1 × n]`. */
export interface ModuleCase<M extends Module> {
  readonly name: string;
  readonly module: M;
  readonly shape: readonly number[];
  readonly run: (module: M, x: Tensor) => Tensor;
  readonly oracle: (g: Graph, x: Matrix, parameter: (name: string) => Matrix) => Matrix;
  /** Of the numbers; default 0. */
  readonly seed?: number;
}

/** Fills the module with other numbers than it begins with: zeros and ones would hide mistakes. */
export function fill(module: Module, device: Device, seed: number): Map<string, Float32Array> {
  const data = new Map<string, Float32Array>();
  scope(() => {
    const state = new Map<string, Tensor>();
    for (const [name, { spec }] of module.namedParameters()) {
      const numbers = uniform(
        seed + data.size,
        spec.shape.reduce((size, extent) => size * extent, 1),
      );
      data.set(name, numbers);
      state.set(name, tensor(numbers, spec.shape, { device }));
    }
    module.load(state);
  });
  return data;
}

/** The output, and the gradients of x and of everything learned for the cotangent d. */
export async function resultsOf(
  device: Device,
  module: Module,
  run: (x: Tensor) => Tensor,
  { x, shape, d }: { readonly x: ArrayLike<number>; readonly shape: readonly number[]; readonly d?: ArrayLike<number> },
): Promise<Results> {
  const learned = module.learnedTensors();
  const tensors = scope(() => {
    const input = tensor(x, shape, { device, requiresGradient: true });
    const out = run(input);
    const cotangent = tensor(d ?? uniform(99, out.size), out.shape, { device });
    const leaves = [input, ...learned.values()];
    return [out, ...gradients([out], leaves, [cotangent])];
  });
  const numbers = await Promise.all(tensors.map((one) => one.data()));
  disposeAll(tensors);
  return Object.fromEntries(['out', 'dx', ...learned.keys()].map((name, i) => [name, numbers[i]!]));
}

/** Checks values and all gradients within the derived budgets. */
export async function checkModule<M extends Module>(device: Device, test: ModuleCase<M>): Promise<void> {
  const { name, module, shape, run, oracle, seed = 0 } = test;
  const columns = shape.at(-1)!;
  const x = uniform(
    5 + 1000 * seed,
    shape.reduce((size, extent) => size * extent, 1),
  );
  const parameters = fill(module, device, 7 + 1000 * seed);
  const evaluate = (g: Graph, d: ArrayLike<number> | undefined): Results => {
    const input = g.input(x, x.length / columns, columns);
    const matrices = new Map<string, Matrix>();
    for (const [key, { spec }] of module.namedParameters()) {
      const width = spec.shape.at(-1)!;
      const own = parameters.get(key)!;
      matrices.set(key, g.input(own, own.length / width, width));
    }
    const out = oracle(g, input, (key) => matrices.get(key)!);
    const learned = [...module.learnedTensors().keys()];
    const leaves = [input, ...learned.map((key) => matrices.get(key)!)];
    const found = g.gradients([out], [d ?? uniform(99, out.data.length)], leaves);
    return Object.fromEntries([['out', out.data], ['dx', found[0]!], ...learned.map((key, i) => [key, found[i + 1]!])]);
  };
  const exact = evaluate(new Graph(double), undefined);
  const expected = new OrderBudgets(6, exact, (order) => evaluate(new Graph(single, order), undefined));
  const got = await resultsOf(device, module, (input) => run(module, input), { x, shape });
  for (const [key, want] of Object.entries(exact)) {
    expectClose(`${name}: ${key}`, got[key]!, want, { budget: refinedBudget(key, got[key]!, want, expected), seed });
  }
  module.dispose();
}
