import type { HostArray } from '../../src/pretrained/index.js';
import type { Matrix } from '../oracles/graph.js';
import { single } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';

import { MemoryOracle } from '../models/memory-oracle.js';
import type { PlainCall } from './golden.js';

/** Orders of summation, as for models. */
const ORDERS = 4;

/** The largest error of the formulas of a model with memory in plain float32, over what two segments give. */
export async function plainSegments({ loaded, golden }: PlainCall): Promise<number> {
  const { model, config, cls } = loaded;
  const numbers = new Map<string, ArrayLike<number>>();
  for (const [name, value] of model.stateDict()) numbers.set(name, await value.data());
  const errors = Array.from({ length: ORDERS }, (_, order) => {
    const g = new Graph(single, order);
    const parameters = new Map<string, Matrix>();
    for (const [name, { spec }] of model.namedParameters()) {
      const own = numbers.get(name)!;
      const width = spec.shape.at(-1)!;
      parameters.set(name, g.input(own, own.length / width, width));
    }
    const oracle = new MemoryOracle(g, config, (name) => parameters.get(name)!, 'stack', true);
    const [first, second] = ['in.input_ids', 'in.input_ids_seg2'].map((name) => golden.get(name)!) as [
      HostArray,
      HostArray,
    ];
    const [B, L] = first.shape as [number, number];
    return Array.from({ length: B }, (_, b) => {
      const of = ({ data }: HostArray): number[] => Array.from(data).slice(b * L, (b + 1) * L);
      const one = oracle.rows(of(first));
      const two = oracle.rows(of(second), one.memories);
      return [one, two].map(({ hidden }, i) => {
        const base = cls.task === 'base';
        const got = base ? hidden : oracle.logitsAt(hidden);
        const want = golden.get(`out.seg${i + 1}.${base ? 'last_hidden_state' : 'logits'}`)!;
        const own = Array.from(want.data).slice(b * got.data.length, (b + 1) * got.data.length);
        return Math.max(...own.map((one, n) => Math.abs(one - got.data[n]!)));
      });
    }).flat();
  });
  return Math.max(...errors.flat());
}
