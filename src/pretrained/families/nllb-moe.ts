import { wholeFrom } from '../../core/requirements.js';
import type { EncoderDecoder } from '../../models/index.js';
import { chain, joined, reshaped, transposed, type WeightRule } from '../../nn/index.js';
import { add, cast, equal, greater, mul, reshape, slice } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { activationNames, activationOf } from '../activations.js';
import { bartConfig, bartFields, bartMap, finalNorms, type BartTheirs } from '../bart-like.js';
import { defineFamily, type Outputs } from '../family.js';
import { count, field, only, real, word, yes } from '../fields.js';
import { linear } from '../projections.js';
import { expertsRule } from '../routers.js';
import { runPair, type Seen } from '../run.js';
import { layersAs } from '../windows.js';

const step = field(wholeFrom(0), 4);

/** Two experts for each token in every few layers, with room counted over the batch. */
export const nllbMoe = defineFamily({
  modelType: 'nllb-moe',
  title: 'NLLB-MoE',
  paper: {
    authors: 'NLLB Team',
    title: 'No Language Left Behind: Scaling Human-Centered Machine Translation',
    year: 2022,
    arxiv: '2207.04672',
  },
  classes: {
    NllbMoeForConditionalGeneration: { task: 'summarise', mark: 'lm_head.weight' },
    NllbMoeModel: { task: 'base' },
  },
  prefix: 'model.',
  fields: {
    ...bartFields,
    vocab_size: count(128112, 2),
    encoder_ffn_dim: count(4096),
    activation_function: word(activationNames, 'relu'),
    scale_embedding: yes(true),
    encoder_sparse_step: step,
    decoder_sparse_step: step,
    num_experts: count(128),
    expert_capacity: count(64),
    moe_eval_capacity_token_fraction: real(1),
    moe_token_dropout: field(
      { must: 'a number from 0 to below 1', holds: (x) => (x as number) >= 0 && (x as number) < 1 },
      0.2,
    ),
    normalize_router_prob_before_dropping: yes(false),
    second_expert_policy: only(['all'], 'second experts are always taken here'),
    batch_prioritized_routing: only([false], 'tokens queue in their order here'),
    router_ignore_padding_tokens: only([false], 'padding goes to no expert here'),
    router_bias: only([false], 'its router has no bias'),
    router_dtype: only(['float32'], 'its router computes in float32'),
  },
  config: (theirs, cls) => {
    const activation = activationOf(theirs.activation_function);
    const layersOf = (layers: number, every: number, hidden: number): object =>
      layersAs(
        Array.from({ length: layers }, (_, i) => ({
          feedForward:
            every > 0 && (i + 1) % every === 0
              ? {
                  name: 'nllb',
                  hidden,
                  activation,
                  options: {
                    experts: theirs.num_experts,
                    capacity: 0,
                    minCapacity: theirs.expert_capacity,
                    evaluationShare: theirs.moe_eval_capacity_token_fraction,
                    keptShares: !theirs.normalize_router_prob_before_dropping,
                    outputDropout: theirs.moe_token_dropout,
                  },
                }
              : { name: 'dense', hidden, activation },
        })),
      );
    return {
      ...bartConfig(theirs, cls, {
        place: 'pre',
        embedded: false,
        biased: false,
        encoder: layersOf(theirs.encoder_layers, theirs.encoder_sparse_step, theirs.encoder_ffn_dim),
        decoder: layersOf(theirs.decoder_layers, theirs.decoder_sparse_step, theirs.decoder_ffn_dim),
      }),
      // rows of sines as fairseq has them, counted from behind the padding token
      position: { method: 'sinusoidal', variant: 'tensor2tensor', first: (theirs.pad_token_id ?? 1) + 1 },
    };
  },
  map: (theirs, cls) =>
    bartMap(theirs as unknown as BartTheirs, cls, {
      norms: finalNorms(cls.prefix, 'layer_norm'),
      positions: false,
      cross: 'cross_attention',
      feedForwardNorm: 'ff_layer_norm',
      biased: false,
      feedForward: (layer, ours) => {
        const decoding = layer.includes('decoder.');
        const hidden = decoding ? theirs.decoder_ffn_dim : theirs.encoder_ffn_dim;
        return [
          ...linear(`${layer}.ffn.fc1`, `${ours}.feedForward.up`),
          ...linear(`${layer}.ffn.fc2`, `${ours}.feedForward.down`),
          [`${layer}.ffn.router.classifier.weight`, `${ours}.feedForward.router`, transposed],
          ...productRules(`${layer}.ffn.experts.expert_{e}.fc1`, `${ours}.feedForward.up`, {
            experts: theirs.num_experts,
            inputs: theirs.d_model,
            outputs: hidden,
          }),
          ...productRules(`${layer}.ffn.experts.expert_{e}.fc2`, `${ours}.feedForward.down`, {
            experts: theirs.num_experts,
            inputs: hidden,
            outputs: theirs.d_model,
          }),
        ];
      },
    }),
  run: (call) =>
    runPair(call as never, call.model as EncoderDecoder, {
      more: ({ encoder, decoder }) => ({ ...routersOf(encoder, 'encoder'), ...routersOf(decoder, 'decoder') }),
    }),
  notes: ({ moe_eval_capacity_token_fraction: share }) =>
    share < 1
      ? ['Experts have room for a part of a batch: what a text gets depends on the texts beside it, as published.']
      : [],
});

/** A product of each expert, with its bias. */
function productRules(
  theirs: string,
  ours: string,
  sizes: { readonly experts: number; readonly inputs: number; readonly outputs: number },
): readonly WeightRule[] {
  const { experts, outputs } = sizes;
  const each = Array.from({ length: experts }, (_, e) => `${theirs.replace('{e}', String(e))}.bias`);
  const extents = each.map(() => outputs);
  return [
    expertsRule(`${theirs}.weight`, ours, sizes),
    [each, `${ours}Bias`, chain(joined(0, extents), reshaped([experts * outputs], [experts, outputs]))],
  ];
}

/** What each router decided, rows = batch × position: logits, the first choice where it had room, and the weight of every expert. */
function routersOf(seen: readonly Seen[], part: string): Outputs {
  const form = new RegExp(`^${part}\\.layers\\.(\\d+)\\.feedForward\\.router\\.(\\w+)$`);
  const layers = new Map<string, Record<string, Tensor>>();
  for (const { path, output } of seen) {
    const [, layer, what] = form.exec(path) ?? [];
    if (layer !== undefined) layers.set(layer, { ...layers.get(layer), [what!]: output });
  }
  const outputs: Record<string, Tensor> = {};
  for (const [layer, { logits, indices, weights }] of layers) {
    const E = logits!.shape.at(-1)!;
    const rows = logits!.size / E;
    const numbers = tensor(
      Int32Array.from({ length: E }, (_, e) => e),
      [1, E],
      { device: logits!.device },
    );
    const choice = (j: number): { readonly one: Tensor; readonly weight: Tensor } => {
      const at = { axis: 1, start: j, end: j + 1 };
      const index = slice(reshape(indices!, [rows, 2]), at);
      return { one: cast(equal(index, numbers), 'f32'), weight: slice(weights!, at) };
    };
    const [first, second] = [choice(0), choice(1)];
    const name = `router.${part}.layers.${layer}`;
    outputs[`${name}.logits`] = reshape(logits!, [rows, E]);
    outputs[`${name}.top1_kept`] = mul(first.one, cast(greater(first.weight, 0), 'f32'));
    outputs[`${name}.combine`] = add(mul(first.one, first.weight), mul(second.one, second.weight));
  }
  return outputs;
}
