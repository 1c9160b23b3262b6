import { describe, expect, test } from 'vitest';
import { runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { EncoderOracle, type EncoderRule } from '../../oracles/encoder.js';
import { Graph } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { loadMade, weightsOf } from '../made.js';
import { causalBert, linears } from './made-encoders.js';

const [W, I, SEP, L] = [12, 20, 30, 17];
const config = {
  ...causalBert.config,
  model_type: 'big_bird',
  architectures: ['BigBirdForQuestionAnswering'],
  is_decoder: false,
  hidden_act: 'gelu',
  sep_token_id: SEP,
};
const shapes = {
  ...Object.fromEntries(Object.entries(causalBert.shapes).filter(([name]) => !name.startsWith('cls.'))),
  ...linears({
    'qa_classifier.intermediate.dense': [I, W],
    'qa_classifier.output.dense': [W, I],
    'qa_classifier.qa_outputs': [2, W],
  }),
  'qa_classifier.output.LayerNorm.weight': [W],
  'qa_classifier.output.LayerNorm.bias': [W],
};
const rule: EncoderRule = {
  ...causalBert.rule,
  causal: false,
  head: {
    feed: {
      up: 'qa_classifier.intermediate.dense',
      down: 'qa_classifier.output.dense',
      norm: 'qa_classifier.output.LayerNorm',
    },
    out: 'qa_classifier.qa_outputs',
    rows: 'all',
  },
};
/** Tokens of the question, the first and the separator counted. */
const questions = [6, 3];
const rows = questions.map((question, b) =>
  Array.from({ length: L }, (_, i) => (i === question - 1 || i === L - 1 ? SEP : (5 * i + 3 * b + 1) % SEP)),
);

describe('BigBird', () => {
  onWebAssemblyFirst((on) => {
    test('answers are in the context, of which the types tell', async () => {
      const weights = weightsOf(shapes);
      const loaded = await loadMade(config, weights, on.device);
      const outputs = runPretrained(loaded, { input_ids: { data: rows.flat(), shape: [2, L] } });
      const evaluate = (g: Graph) =>
        rows.map((tokens, b) => {
          const types = tokens.map((_, i) => Number(i >= questions[b]!));
          return new EncoderOracle(g, rule, weights).run(tokens, types).logits;
        });
      const exact = evaluate(new Graph(double));
      const plain = Array.from({ length: 4 }, (_, order) => evaluate(new Graph(single, order)));
      for (const [which, name] of ['start_logits', 'end_logits'].entries()) {
        const all = Array.from(await outputs[name]!.data());
        rows.forEach((_, b) => {
          const [got, question] = [all.slice(b * L, (b + 1) * L), questions[b]!];
          const places = got.map((__, i) => i).filter((i) => i === 0 || i >= question);
          const of = (logits: (typeof exact)[number]): number[] => places.map((i) => logits.at(i, which));
          const want = of(exact[b]!);
          const budget = Math.max(...plain.map((one) => budgetOf(want, of(one[b]!))));
          expectClose(
            `${name} of row ${b}`,
            places.map((i) => got[i]!),
            want,
            { budget },
          );
          for (let i = 1; i < question; i++) expect(got[i]).toBeLessThan(-9e5);
        });
      }
      const back = loaded.map.toTheirs(loaded.model.stateDict());
      expect([...back.keys()].sort()).toEqual([...weights.keys()].sort());
      for (const [name, x] of back) expect(await x.data(), name).toEqual(weights.get(name)!.data);
      disposeAll([outputs, back]);
      loaded.model.dispose();
    });

    test('a decoder by blocks would see what comes after', async () => {
      const decoder = { ...causalBert.config, model_type: 'big_bird', architectures: ['BigBirdForCausalLM'] };
      await expect(loadMade(decoder, weightsOf(causalBert.shapes), on.device)).rejects.toThrow(
        'takes attention_type "original_full"',
      );
    });
  });
});
