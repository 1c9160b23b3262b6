import { decoderOf, encoderOf } from '../../src/models/config-decoder.js';
import type { HostArray } from '../../src/pretrained/index.js';
import { numbersOf, parametersOf } from '../models/check.js';
import { CrossOracle } from '../models/cross-oracle.js';
import { ModelOracle } from '../models/oracle.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph, type Matrix } from '../oracles/graph.js';
import type { PlainCall } from './golden.js';

/** Orders of summation: fewer than for models, which only makes the budget less. */
const ORDERS = 4;

/**
 * The largest error of the formulas of an encoder–decoder in plain float32, over its logits, those of its routers, and what both halves
 * give. Against the same formulas in float64 and not the golden, so that a wrong configuration cannot widen its own budget.
 */
export async function plainPair({ loaded, golden }: PlainCall): Promise<number> {
  const { model, config } = loaded;
  const numbers = await numbersOf(model);
  const rowsOf = (name: string): number[][] => {
    const { data, shape } = golden.get(`in.${name}`) as HostArray;
    const size = data.length / shape[0]!;
    return Array.from({ length: shape[0]! }, (_, b) => Array.from(data).slice(b * size, (b + 1) * size));
  };
  const masks = rowsOf('attention_mask');
  const sources = rowsOf('input_ids').map((row, b) => row.filter((_, i) => masks[b]![i] === 1));
  const targets = rowsOf('decoder_input_ids');
  const resultsIn = (g: Graph): number[] => {
    const parameter = parametersOf(g, model, numbers);
    const found = sources.flatMap((source, b): Matrix[] => {
      const encoder = new ModelOracle(g, encoderOf(config), parameter, 'encoder', false);
      const decoder = new CrossOracle(g, decoderOf(config), parameter, encoder.hidden(source));
      const hidden = decoder.hidden(targets[b]!);
      const routed = [encoder, decoder].flatMap((part) => [...part.routed.values()]);
      return [decoder.logitsAt(hidden), hidden, decoder.encoded, ...routed];
    });
    return found.flatMap(({ data }) => Array.from(data));
  };
  const exact = resultsIn(new Graph(double));
  const errors = Array.from({ length: ORDERS }, (_, order) =>
    resultsIn(new Graph(single, order)).reduce((most, x, i) => Math.max(most, Math.abs(x - exact[i]!)), 0),
  );
  return Math.max(...errors);
}
