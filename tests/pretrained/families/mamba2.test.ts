import { describe, expect, test } from 'vitest';
import { runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { normalised } from '../../nn/formulas.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph, type Matrix } from '../../oracles/graph.js';
import { mamba2Mixer } from '../../oracles/mamba2.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { checkGreedy } from '../greedy.js';
import { loadMade, weightsOf } from '../made.js';

const [V, W, H, P, G, N, K] = [31, 12, 4, 6, 2, 5, 4];
const channels = H * P + 2 * G * N;
// as Python writes it
const limit = '[0.0, Infinity]';
const config = {
  model_type: 'mamba2',
  architectures: ['Mamba2ForCausalLM'],
  vocab_size: V,
  hidden_size: W,
  num_hidden_layers: 2,
  num_heads: H,
  head_dim: P,
  state_size: N,
  n_groups: G,
  conv_kernel: K,
  layer_norm_epsilon: 1e-5,
  time_step_limit: 'LIMIT',
};
const layer = (i: number) => ({
  [`backbone.layers.${i}.norm.weight`]: [W],
  [`backbone.layers.${i}.mixer.in_proj.weight`]: [H * P + channels + H, W],
  [`backbone.layers.${i}.mixer.conv1d.weight`]: [channels, 1, K],
  [`backbone.layers.${i}.mixer.conv1d.bias`]: [channels],
  [`backbone.layers.${i}.mixer.dt_bias`]: [H],
  [`backbone.layers.${i}.mixer.A_log`]: [H],
  [`backbone.layers.${i}.mixer.D`]: [H],
  [`backbone.layers.${i}.mixer.norm.weight`]: [H * P],
  [`backbone.layers.${i}.mixer.out_proj.weight`]: [W, H * P],
});
const shapes = {
  'backbone.embeddings.weight': [V, W],
  ...layer(0),
  ...layer(1),
  'backbone.norm_f.weight': [W],
  'lm_head.weight': [V, W],
};
const tokens = Array.from({ length: 17 }, (_, i) => (7 * i + i * i) % V);

function evaluate(g: Graph, weights: ReturnType<typeof weightsOf>): Record<string, Float64Array> {
  const of = (name: string): Matrix => {
    const { shape, data } = weights.get(name)!;
    const columns = shape.at(-1)!;
    return g.input(data, data.length / columns, columns);
  };
  const norm = (x: Matrix, name: string): Matrix => g.mul(normalised(g, x, false), of(`${name}.weight`));
  let x = g.gatherRows(of('backbone.embeddings.weight'), tokens);
  const states = [x];
  for (const i of [0, 1]) {
    const at = `backbone.layers.${i}.mixer`;
    const own = {
      in: g.transpose(of(`${at}.in_proj.weight`)),
      convolution: of(`${at}.conv1d.weight`),
      convolutionBias: of(`${at}.conv1d.bias`),
      step: of(`${at}.dt_bias`),
      rate: of(`${at}.A_log`),
      skip: of(`${at}.D`),
      norm: of(`${at}.norm.weight`),
      out: g.transpose(of(`${at}.out_proj.weight`)),
    };
    const sizes = { heads: H, headSize: P, groups: G, state: N, kernel: K, epsilon: 1e-5 };
    x = g.add(x, mamba2Mixer(g, norm(x, `backbone.layers.${i}.norm`), own, sizes));
    states.push(x);
  }
  const last = norm(x, 'backbone.norm_f');
  return {
    'hidden_states.0': states[0]!.data,
    'hidden_states.1': states[1]!.data,
    'hidden_states.2': last.data,
    logits: g.matmulT(last, of('lm_head.weight')).data,
  };
}

describe('Mamba-2', () => {
  onWebAssemblyFirst((on) => {
    test('is a naive state, token by token, and gives the file back', async () => {
      const weights = weightsOf(shapes);
      const text = JSON.stringify(config).replace('"LIMIT"', limit);
      const loaded = await loadMade(text, weights, on.device);
      const outputs = runPretrained(loaded, { input_ids: { data: tokens, shape: [1, 17] } });
      const exact = evaluate(new Graph(double), weights);
      const plain = Array.from({ length: 6 }, (_, order) => evaluate(new Graph(single, order), weights));
      expect(Object.keys(outputs).sort()).toEqual(Object.keys(exact).sort());
      for (const [name, want] of Object.entries(exact)) {
        const budget = Math.max(...plain.map((one) => budgetOf(want, one[name])));
        expectClose(name, await outputs[name]!.data(), want, { budget });
      }
      const back = loaded.map.toTheirs(loaded.model.stateDict());
      expect([...back.keys()].sort()).toEqual([...weights.keys()].sort());
      for (const [name, x] of back) expect(await x.data(), name).toEqual(weights.get(name)!.data);
      await checkGreedy(loaded.model, [3, 1, 4], 5, on.device);
      disposeAll([outputs, back]);
      loaded.model.dispose();
    });
  });
});
