import { numbersOf, parametersOf } from '../models/check.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';
import { MemoryOracle } from '../models/memory-oracle.js';
import type { PlainCall } from './golden.js';

/** Orders of summation, as for models. */
const ORDERS = 4;

/**
 * The largest error of the formulas of a model with memory in plain float32, over what two segments give. Against the same formulas in
 * float64 and not the golden, so that a wrong configuration cannot widen its own budget.
 */
export async function plainSegments({ loaded, golden }: PlainCall): Promise<number> {
  const { model, config, cls } = loaded;
  const numbers = await numbersOf(model);
  const segments = ['in.input_ids', 'in.input_ids_seg2'].map((name) => golden.get(name)!);
  const [B, L] = segments[0]!.shape as [number, number];
  const resultsIn = (g: Graph): number[] => {
    const oracle = new MemoryOracle(g, config, parametersOf(g, model, numbers), 'stack', true);
    return Array.from({ length: B }, (_, b) => {
      const [first, second] = segments.map(({ data }) => Array.from(data).slice(b * L, (b + 1) * L));
      const one = oracle.rows(first!);
      const two = oracle.rows(second!, one.memories);
      const found = [one, two].map(({ hidden }) => (cls.task === 'base' ? hidden : oracle.logitsAt(hidden)));
      return found.flatMap(({ data }) => Array.from(data));
    }).flat();
  };
  const exact = resultsIn(new Graph(double));
  const errors = Array.from({ length: ORDERS }, (_, order) =>
    resultsIn(new Graph(single, order)).reduce((most, x, i) => Math.max(most, Math.abs(x - exact[i]!)), 0),
  );
  return Math.max(...errors);
}
