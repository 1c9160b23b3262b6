import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { EncoderDecoder } from '../../../src/models/index.js';
import { runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph } from '../../oracles/graph.js';
import { PegasusXOracle } from '../../oracles/pegasus-x.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { checkGreedyPairs } from '../greedy-pairs.js';
import type { Weights } from '../../oracles/decoder.js';
import { nodeFiles, writeSafetensors, type TensorSource } from '../../../src/train/checkpoint/index.js';
import { cli } from '../../cli/io.js';
import { folderOf, loadMade, weightsOf, type Shapes } from '../made.js';

const [V, W, F, GLOBALS, BLOCK] = [29, 16, 24, 3, 8];
const [ENCODER, DECODER] = [
  { heads: 4, layers: 3 },
  { heads: 2, layers: 2 },
];

const config = {
  model_type: 'pegasus_x',
  architectures: ['PegasusXForConditionalGeneration'],
  is_encoder_decoder: true,
  vocab_size: V,
  d_model: W,
  encoder_layers: ENCODER.layers,
  encoder_attention_heads: ENCODER.heads,
  encoder_ffn_dim: F,
  decoder_layers: DECODER.layers,
  decoder_attention_heads: DECODER.heads,
  decoder_ffn_dim: F,
  activation_function: 'relu',
  max_position_embeddings: 64,
  scale_embedding: true,
  num_global_tokens: GLOBALS,
  block_size: BLOCK,
  stagger_local_blocks: true,
  decoder_start_token_id: 0,
  pad_token_id: 0,
  eos_token_id: 1,
  forced_eos_token_id: 1,
  init_std: 0.02,
};

const norm = (name: string): Shapes => ({ [`${name}.weight`]: [W], [`${name}.bias`]: [W] });
const attention = (name: string): Shapes =>
  Object.fromEntries(['q', 'k', 'v', 'out'].map((part) => [`${name}.${part}_proj.weight`, [W, W]]));
const feed = (at: string): Shapes => ({
  [`${at}.fc1.weight`]: [F, W],
  [`${at}.fc1.bias`]: [F],
  [`${at}.fc2.weight`]: [W, F],
  [`${at}.fc2.bias`]: [W],
  ...norm(`${at}.final_layer_norm`),
});
const layersOf = (half: string, count: number, of: (at: string) => Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: count }, (_, i) => of(`model.${half}.layers.${i}`))) as Shapes;
const shapes: Shapes = {
  'model.shared.weight': [V, W],
  'model.encoder.embed_global.weight': [GLOBALS, W],
  ...layersOf('encoder', ENCODER.layers, (at) => ({
    ...attention(`${at}.self_attn`),
    ...norm(`${at}.self_attn_layer_norm`),
    ...norm(`${at}.global_self_attn_layer_norm`),
    ...feed(at),
  })),
  ...norm('model.encoder.layer_norm'),
  ...layersOf('decoder', DECODER.layers, (at) => ({
    ...attention(`${at}.self_attn`),
    ...norm(`${at}.self_attn_layer_norm`),
    ...attention(`${at}.encoder_attn`),
    ...norm(`${at}.encoder_attn_layer_norm`),
    ...feed(at),
  })),
  ...norm('model.decoder.layer_norm'),
};
const tied = ['model.encoder.embed_tokens.weight', 'model.decoder.embed_tokens.weight', 'lm_head.weight'];

/** Whole blocks, and a part of the last one. */
const lengths = [21, 16];
const S = 21;
const sources = lengths.map((length, b) => Array.from({ length }, (_, i) => (5 * i + 3 * b + i * i) % V));
const targets = [
  [0, 4, 9, 2, 7],
  [0, 11, 3, 8, 1],
];

const sizes = {
  width: W,
  encoderHeads: ENCODER.heads,
  decoderHeads: DECODER.heads,
  encoderLayers: ENCODER.layers,
  decoderLayers: DECODER.layers,
  block: BLOCK,
  activation: 'relu',
} as const;
/** What the formulas give for each source and what follows it, by its published name. */
const evaluationOf = (weights: Weights) => (g: Graph) =>
  sources.map((source, b): Record<string, Float64Array> => {
    const { encoder, decoder, logits } = new PegasusXOracle(g, sizes, weights).run(source, targets[b]!);
    return {
      ...Object.fromEntries(encoder.map((x, i) => [`encoder_hidden_states.${i}`, x.data])),
      ...Object.fromEntries(decoder.map((x, i) => [`decoder_hidden_states.${i}`, x.data])),
      encoder_last_hidden_state: encoder.at(-1)!.data,
      logits: logits.data,
    };
  });

const padded = sources.flatMap((row) => [...row, ...new Array<number>(S - row.length).fill(0)]);
const real = lengths.flatMap((n) => Array.from({ length: S }, (_, i) => Number(i < n)));

describe('PEGASUS-X', () => {
  onEveryDevice((on) => {
    test('is its formulas, with and without padding, and gives the file back', async () => {
      const weights = weightsOf(shapes);
      const loaded = await loadMade(config, weights, on.device);
      const outputs = runPretrained(loaded, {
        input_ids: { data: padded, shape: [2, S] },
        attention_mask: { data: real, shape: [2, S] },
        decoder_input_ids: { data: targets.flat(), shape: [2, 5] },
      });
      const evaluate = evaluationOf(weights);
      const exact = evaluate(new Graph(double));
      const plain = Array.from({ length: 4 }, (_, order) => evaluate(new Graph(single, order)));
      expect(Object.keys(outputs).sort()).toEqual(Object.keys(exact[0]!).sort());
      for (const [name, output] of Object.entries(outputs)) {
        const got = await output.data();
        const size = got.length / 2;
        exact.forEach((of, b) => {
          const want = of[name]!;
          const budget = Math.max(...plain.map((one) => budgetOf(want, one[b]![name])));
          expectClose(`${name} of row ${b}`, got.slice(b * size, b * size + want.length), want, { budget });
        });
      }
      const back = loaded.map.toTheirs(loaded.model.stateDict());
      expect([...back.keys()].sort()).toEqual([...weights.keys(), ...tied].sort());
      for (const [name, x] of back) {
        const given = weights.get(tied.includes(name) ? 'model.shared.weight' : name)!;
        expect(x.shape, name).toEqual(given.shape);
        expect(await x.data(), name).toEqual(given.data);
      }
      await checkGreedyPairs(loaded.model as EncoderDecoder, { device: on.device, sources, start: 0, count: 5 });
      disposeAll([outputs, back]);
      loaded.model.dispose();
    });
  });

  test('subquad verify holds it against a golden file', async () => {
    const weights = weightsOf(shapes);
    const folder = folderOf(config, weights);
    const exact = evaluationOf(weights)(new Graph(double));
    const outputs = Object.keys(exact[0]!).map((name): [string, TensorSource] => {
      const columns = name === 'logits' ? V : W;
      const rows = name.startsWith('encoder') ? S : targets[0]!.length;
      const data = new Float32Array(2 * rows * columns);
      exact.forEach((of, b) => data.set(of[name]!, b * rows * columns));
      return [`out.${name}`, { dtype: 'f32', shape: [2, rows, columns], bytes: data }];
    });
    const integers = (data: readonly number[]): TensorSource => {
      return { dtype: 'i32', shape: [2, data.length / 2], bytes: Int32Array.from(data) };
    };
    const file = await nodeFiles.open(join(folder, 'golden.safetensors'), 'write');
    await writeSafetensors(file, {
      'in.input_ids': integers(padded),
      'in.attention_mask': integers(real),
      'in.decoder_input_ids': integers(targets.flat()),
      ...Object.fromEntries(outputs),
    });
    await file.close();
    const { code, out } = await cli(['verify', folder, '--json', '--device', 'wasm', '--threads', '1']);
    const found = JSON.parse(out) as { readonly within: boolean; readonly rows: readonly unknown[] };
    expect([code, found.within, found.rows.length]).toEqual([0, true, outputs.length]);
    // blocks that lie elsewhere are another model
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, stagger_local_blocks: false }));
    expect((await cli(['verify', folder, '--device', 'wasm', '--threads', '1'])).code).toBe(1);
    rmSync(folder, { recursive: true });
  });
});
