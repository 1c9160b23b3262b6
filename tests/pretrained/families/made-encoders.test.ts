import { describe, expect, test } from 'vitest';
import { runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { EncoderOracle } from '../../oracles/encoder.js';
import { Graph } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onWebAssemblyFirst, type OnDevice } from '../../support/devices.js';
import { loadMade, weightsOf } from '../made.js';
import { madeEncoders, type MadeEncoder } from './made-encoders.js';

/** Orders of summation whose largest error is the budget. */
const ORDERS = 6;
const L = 17;
const lengths = [L, 11];
const rows = lengths.map((length, b) => Array.from({ length }, (_, i) => 1 + ((7 * i + 5 * b * i + b + i * i) % 30)));
const types = lengths.map((length) => Array.from({ length }, (_, i) => Number(i > 6)));
const padded = (all: readonly (readonly number[])[]): number[] =>
  all.flatMap((row) => [...row, ...new Array<number>(L - row.length).fill(0)]);

/** Every hidden state and result at real tokens against the formulas, and the weights back, bit by bit. */
async function check(made: MadeEncoder, { device }: OnDevice): Promise<void> {
  const weights = weightsOf(made.shapes);
  const loaded = await loadMade(made.config, weights, device);
  const typed = made.rule.types !== undefined;
  const outputs = runPretrained(loaded, {
    input_ids: { data: padded(rows), shape: [2, L] },
    attention_mask: { data: padded(rows).map((token) => Number(token > 0)), shape: [2, L] },
    ...(typed && { token_type_ids: { data: padded(types), shape: [2, L] } }),
  });
  const evaluate = (g: Graph): Record<string, number[]> => {
    const oracle = new EncoderOracle(g, made.rule, weights);
    const results = rows.map((tokens, b) => oracle.run(tokens, types[b]!));
    const joined = (of: (one: (typeof results)[number]) => ArrayLike<number>): number[] =>
      results.flatMap((one) => Array.from(of(one)));
    const logits = joined((one) => one.logits.data);
    const every = (from: number): number[] => logits.filter((_, i) => i % 2 === from);
    return {
      ...Object.fromEntries(
        results[0]!.states.map((_, i) => [`hidden_states.${i}`, joined(({ states }) => states[i]!.data)]),
      ),
      ...(made.answers ? { start_logits: every(0), end_logits: every(1) } : { logits }),
    };
  };
  const exact = evaluate(new Graph(double));
  const plain = Array.from({ length: ORDERS }, (_, order) => evaluate(new Graph(single, order)));
  expect(Object.keys(outputs).sort()).toEqual(Object.keys(exact).sort());
  for (const [name, want] of Object.entries(exact)) {
    const { shape } = outputs[name]!;
    const all = Array.from(await outputs[name]!.data());
    const size = all.length / (2 * L);
    const ofRows = shape[1] === L;
    const real = ofRows ? all.filter((_, i) => Math.floor(i / size) % L < lengths[Math.floor(i / size / L)]!) : all;
    const budget = Math.max(...plain.map((one) => budgetOf(want, one[name])));
    expectClose(`${loaded.cls.name} ${name}`, real, want, { budget });
  }
  const back = loaded.map.toTheirs(loaded.model.stateDict());
  for (const name of weights.keys()) expect([...back.keys()]).toContain(name);
  for (const [name, x] of back) {
    // what is tied is written twice
    if (!weights.has(name)) continue;
    expect(await x.data(), name).toEqual(weights.get(name)!.data);
  }
  disposeAll([outputs, back]);
  loaded.model.dispose();
}

describe('encoders with random weights under published names', () => {
  onWebAssemblyFirst((on) => {
    test.each(Object.entries(madeEncoders))('%s', (_, made) => check(made, on));
  });
});
