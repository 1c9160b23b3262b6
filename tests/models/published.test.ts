import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createModel, openSession, readConfig, type Transformer } from '../../src/models/index.js';
import { chain, joined, transposed, weightMap, type WeightMap } from '../../src/nn/index.js';
import { disposeAll, scope } from '../../src/tensor/index.js';
import { inMemory, Safetensors } from '../../src/train/checkpoint/index.js';
import { readTensors } from '../../src/train/read-tensors.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';

/** Tiny published models with random weights, and their outputs in float64; beside the repository, where they are there. */
const folder = new URL('../../../shared/golden/hf/', import.meta.url);

interface Published {
  readonly name: string;
  /** What of their configuration our model is. */
  readonly config: (theirs: Readonly<Record<string, number>>) => object;
  readonly map: (theirs: Readonly<Record<string, number>>) => WeightMap;
}

const published: readonly Published[] = [
  {
    name: 'gpt2',
    config: ({
      n_embd: width,
      n_head: heads,
      n_layer: layers,
      n_positions: length,
      vocab_size: vocabulary,
      layer_norm_epsilon,
    }) => ({
      width,
      heads,
      layers,
      length,
      vocabulary,
      bias: true,
      position: 'learned',
      feedForward: { activation: 'gelu-tanh' },
      norm: { kind: 'layer', epsilon: layer_norm_epsilon },
    }),
    map: () =>
      weightMap(
        [
          ['transformer.wte.weight', 'ends.embedding.weight'],
          ['transformer.wpe.weight', 'stack.positions.table'],
          ['transformer.h.{i}.ln_1.{*}', 'stack.layers.{i}.attentionResidual.norm.{*}'],
          ['transformer.h.{i}.attn.c_attn.{*}', 'stack.layers.{i}.attention.qkv.{*}'],
          ['transformer.h.{i}.attn.c_proj.{*}', 'stack.layers.{i}.attention.out.{*}'],
          ['transformer.h.{i}.ln_2.{*}', 'stack.layers.{i}.feedForwardResidual.norm.{*}'],
          ['transformer.h.{i}.mlp.c_fc.{*}', 'stack.layers.{i}.feedForward.up.{*}'],
          ['transformer.h.{i}.mlp.c_proj.{*}', 'stack.layers.{i}.feedForward.down.{*}'],
          ['transformer.ln_f.{*}', 'stack.norm.{*}'],
        ],
        { ties: { 'lm_head.weight': 'transformer.wte.weight' }, ignored: ['transformer.h.{i}.attn.bias'] },
      ),
  },
  {
    name: 'llama_gqa',
    config: (theirs) => ({
      width: theirs['hidden_size'],
      heads: theirs['num_attention_heads'],
      kvHeads: theirs['num_key_value_heads'],
      layers: theirs['num_hidden_layers'],
      length: theirs['max_position_embeddings'],
      vocabulary: theirs['vocab_size'],
      tied: false,
      feedForward: { hidden: theirs['intermediate_size'], gated: true, activation: 'silu' },
      norm: { kind: 'rms', epsilon: theirs['rms_norm_eps'] },
      position: { method: 'rope', base: theirs['rope_theta'] },
    }),
    map: ({ head_dim: size = 1, num_attention_heads: heads = 1, num_key_value_heads: groups = 1 }) => {
      const layer = 'model.layers.{i}.self_attn';
      return weightMap([
        ['model.embed_tokens.weight', 'ends.embedding.weight'],
        ['model.layers.{i}.input_layernorm.weight', 'stack.layers.{i}.attentionResidual.norm.weight'],
        [
          [`${layer}.q_proj.weight`, `${layer}.k_proj.weight`, `${layer}.v_proj.weight`],
          'stack.layers.{i}.attention.qkv.weight',
          chain(transposed, joined(1, [heads * size, groups * size, groups * size])),
        ],
        [`${layer}.o_proj.weight`, 'stack.layers.{i}.attention.out.weight', transposed],
        ['model.layers.{i}.post_attention_layernorm.weight', 'stack.layers.{i}.feedForwardResidual.norm.weight'],
        ['model.layers.{i}.mlp.gate_proj.weight', 'stack.layers.{i}.feedForward.gate.weight', transposed],
        ['model.layers.{i}.mlp.up_proj.weight', 'stack.layers.{i}.feedForward.up.weight', transposed],
        ['model.layers.{i}.mlp.down_proj.weight', 'stack.layers.{i}.feedForward.down.weight', transposed],
        ['model.norm.weight', 'stack.norm.weight'],
        ['lm_head.weight', 'ends.head.weight', transposed],
      ]);
    },
  },
];

const open = (name: string, file: string): Promise<Safetensors> =>
  Safetensors.open(inMemory(readFileSync(new URL(`${name}/${file}`, folder))), file);

const known = existsSync(folder) ? describe : describe.skip;
known('published models, where they lie beside the repository', () => {
  onWebAssemblyFirst((on) => {
    test.each(published)(
      '$name gives the published logits, and back the published file',
      async ({ name, config, map: mapOf }) => {
        const { device } = on;
        const theirs = JSON.parse(readFileSync(new URL(`${name}/config.json`, folder), 'utf8')) as Record<
          string,
          number
        >;
        const map = mapOf(theirs);
        const model = createModel(readConfig(config(theirs))) as Transformer;
        const weights = await readTensors(await open(name, 'model.safetensors'), { device });
        model.load(weights, { map });
        const golden = await readTensors(await open(name, 'golden.safetensors'), { device });
        const want = (await golden.get('out.logits')!.data()) as Float32Array;
        const logits = scope(() => model.logits(golden.get('in.input_ids')!));
        // its README: steps that stayed in float32 there leave up to 1e-5 of noise
        const budget = budgetOf(want) + 1e-5;
        expectClose(name, await logits.data(), want, { budget });

        // both rows of the batch as a session of two texts, token by token
        const [B, L] = golden.get('in.input_ids')!.shape as [number, number];
        const ids = [...((await golden.get('in.input_ids')!.data()) as Int32Array)];
        const session = openSession(model, { maxLength: L, rows: B });
        for (const [from, to] of [
          [0, 9],
          [9, 10],
          [10, L],
        ] as const) {
          const next = session.step(Array.from({ length: B }, (_, row) => ids.slice(row * L + from, row * L + to)));
          const wanted = Array.from({ length: B }, (_, row) => [
            ...want.subarray((row * L + to - 1) * 97, (row * L + to) * 97),
          ]);
          expectClose(`${name} in a session`, await next.data(), wanted.flat(), { budget });
          next.dispose();
        }
        session.dispose();

        const back = map.toTheirs(model.stateDict());
        expect([...back.keys()].sort()).toEqual([...weights.keys()].sort());
        for (const [one, x] of back) expect(await x.data(), one).toEqual(await weights.get(one)!.data());
        disposeAll([weights, golden, logits, back]);
        model.dispose();
      },
    );
  });
});
