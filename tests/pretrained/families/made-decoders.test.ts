import { describe, expect, test } from 'vitest';
import { runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { DecoderOracle } from '../../oracles/decoder.js';
import { Graph, type Matrix } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { checkGreedy } from '../greedy.js';
import { checkMade, loadMade, weightsOf } from '../made.js';
import { qwen3Next } from './made-qwen3-next.js';
import { gpt2ByLayer, llamaForClasses, madeDecoders } from './made-decoders.js';

describe('decoders with random weights under published names', () => {
  onWebAssemblyFirst((on) => {
    test.each(Object.entries({ ...madeDecoders, 'gpt2, a scale for each layer': gpt2ByLayer, qwen3_next: qwen3Next }))(
      '%s',
      async (_, made) => {
        const { model } = await checkMade(made, on.device);
        await checkGreedy(model, [3, 1, 4, 1, 5], 6, on.device);
        model.dispose();
      },
    );

    test.each(['LlamaForSequenceClassification', 'LlamaForTokenClassification'] as const)(
      '%s tells classes of the last real token, or of each',
      async (name) => {
        const ofTokens = name === 'LlamaForTokenClassification';
        const made = llamaForClasses(ofTokens);
        const weights = weightsOf(made.shapes);
        // the class is known by the tensors of its head
        const { model, cls, ...loaded } = await loadMade(made.config, weights, on.device);
        expect(cls.name).toBe(name);
        const tokens = [5, 2, 7, 1, 9, 4, 8];
        const data = [...tokens, ...tokens.slice(0, 5), 0, 0];
        const mask = Array.from({ length: 14 }, (_, i) => Number(i < 12));
        const outputs = runPretrained(
          { model, cls, ...loaded },
          { input_ids: { data, shape: [2, 7] }, attention_mask: { data: mask, shape: [2, 7] } },
        );
        const evaluate = (g: Graph): Matrix[] => {
          const oracle = new DecoderOracle(g, made.rule, weights);
          return [7, 5].map((length) => {
            const rows = oracle.run(tokens.slice(0, length)).states.at(-1)!;
            const read = ofTokens ? rows : g.rows(rows, length - 1, length);
            const classes = g.matmulT(read, oracle.matrix('score.weight')!);
            return ofTokens ? g.add(classes, oracle.matrix('score.bias')!) : classes;
          });
        };
        const exact = evaluate(new Graph(double));
        const plain = Array.from({ length: 6 }, (_, order) => evaluate(new Graph(single, order)));
        const got = await outputs['logits']!.data();
        const size = ofTokens ? 21 : 3;
        for (const [row, want] of exact.entries()) {
          const budget = Math.max(...plain.map((one) => budgetOf(want.data, one[row]!.data)));
          expectClose(`row ${row}`, got.slice(row * size, row * size + want.data.length), want.data, { budget });
        }
        disposeAll(outputs);
        model.dispose();
      },
    );
  });
});
