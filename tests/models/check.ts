import type { Device } from '../../src/devices/index.js';
import type { Module } from '../../src/nn/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { fill } from '../nn/check.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph, type Matrix } from '../oracles/graph.js';
import { budgetOf, expectClose, OrderBudgets, refinedBudget } from '../support/compare.js';
import type { Parameter } from './oracle.js';

/**
 * Orders of summation whose largest error is the budget: whole models need more than a layer does to come near their
 * worst.
 */
export const ORDERS = 12;

type Results = Record<string, ArrayLike<number>>;

/** A model, and the formula of numbers that it gives, such as losses. */
export interface ModelCase {
  readonly name: string;
  readonly module: Module;
  /** `[]` each. */
  readonly run: () => readonly Tensor[];
  /** `[1 × 1]` each, in that order. */
  readonly oracle: (g: Graph, parameter: Parameter) => readonly Matrix[];
  /** Of each number; gradients are of their weighted sum. */
  readonly weights: readonly number[];
}

/** `[rows, n / rows]` tokens. */
export const tokensOf = (device: Device, tokens: readonly number[], rows = 1): Tensor =>
  tensor(Int32Array.from(tokens), [rows, tokens.length / rows], { device });

/** Parameters by name, for the numbers that `fill` gave a module. */
export function parametersOf(g: Graph, module: Module, numbers: ReadonlyMap<string, Float32Array>): Parameter {
  const matrices = new Map<string, Matrix>();
  for (const [key, { spec }] of module.namedParameters()) {
    const width = spec.shape.at(-1)!;
    const own = numbers.get(key)!;
    matrices.set(key, g.input(own, own.length / width, width));
  }
  return (name) => matrices.get(name)!;
}

/** What the parameters of a module are now. */
export async function numbersOf(module: Module): Promise<Map<string, Float32Array>> {
  const numbers = new Map<string, Float32Array>();
  for (const [name, { value }] of module.namedParameters()) numbers.set(name, Float32Array.from(await value.data()));
  return numbers;
}

/** Numbers by a formula in float64, and the budget by plain f32 code in several orders. */
export function exactly(formula: (g: Graph) => Matrix): { exact: ArrayLike<number>; budget: number } {
  const exact = formula(new Graph(double)).data;
  const plain = Array.from({ length: ORDERS }, (_, order) => formula(new Graph(single, order)).data);
  return { exact, budget: Math.max(...plain.map((one) => budgetOf(exact, one))) };
}

/**
 * The numbers, and the gradients of their weighted sum in all that is learned, within budgets derived from plain f32 code.
 */
export async function checkModel(device: Device, { name, module, run, oracle, weights }: ModelCase): Promise<void> {
  const parameters = fill(module, device, 7);
  const names = [...module.learnedTensors().keys()];
  const evaluate = (g: Graph): Results => {
    const parameter = parametersOf(g, module, parameters);
    const outputs = oracle(g, parameter);
    const cotangents = weights.map((weight) => [weight]);
    const found = g.gradients(outputs, cotangents, names.map(parameter));
    return {
      ...Object.fromEntries(outputs.map(({ data }, i) => [`number ${i}`, data])),
      ...Object.fromEntries(names.map((key, i) => [key, found[i]!])),
    };
  };
  const exact = evaluate(new Graph(double));
  const expected = new OrderBudgets(ORDERS, exact, (order) => evaluate(new Graph(single, order)));
  const tensors = scope(() => {
    const outputs = run();
    const cotangents = weights.map((weight) => tensor([weight], [], { device }));
    const leaves = [...module.learnedTensors().values()];
    return [...outputs, ...gradients(outputs, leaves, cotangents)];
  });
  const got = await Promise.all(tensors.map((one) => one.data()));
  disposeAll(tensors);
  for (const [i, [key, want]] of Object.entries(exact).entries()) {
    expectClose(`${name}: ${key}`, got[i]!, want, { budget: refinedBudget(key, got[i]!, want, expected) });
  }
}
