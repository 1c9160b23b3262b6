import type { EncoderDecoder } from '../../models/index.js';
import { transposed } from '../../nn/index.js';
import {
  add,
  argmax,
  cast,
  concat,
  greater,
  logsumexp,
  max,
  mean,
  mul,
  reshape,
  softmax,
  square,
} from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { Outputs } from '../family.js';
import { count, field, only, yes } from '../fields.js';
import { wholeFrom } from '../../core/requirements.js';
import { expertsRule } from '../routers.js';
import { runPair, type Seen } from '../run.js';
import { denseRules, feedForwardOf, t5Like } from '../t5-like.js';
import { layersAs } from '../windows.js';

const step = field(wholeFrom(0), null as number | null);

/** Experts with room for so many tokens of a sequence, in order of position; a token without room adds nothing. */
export const switchTransformers = t5Like({
  modelType: 'switch_transformers',
  title: 'Switch Transformers',
  paper: {
    authors: 'Fedus, Zoph, Shazeer',
    title: 'Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity',
    year: 2021,
    arxiv: '2101.03961',
  },
  stem: 'SwitchTransformers',
  fields: {
    num_experts: count(8),
    expert_capacity: count(64),
    num_sparse_encoder_layers: count(3, 0),
    num_sparse_decoder_layers: count(3, 0),
    encoder_sparse_step: step,
    decoder_sparse_step: step,
    router_bias: only([false], 'its router has no bias'),
    router_dtype: only(['float32'], 'its router computes in float32'),
    // of another code: padding is counted here whatever it says
    router_ignore_padding_tokens: yes(false),
    add_router_probs: yes(false),
  },
  config: (theirs) => {
    const { num_experts: experts, expert_capacity: minCapacity, num_layers: layers } = theirs;
    const dense = feedForwardOf(theirs) as { hidden: number; activation: string };
    const sparse = {
      name: 'switch',
      hidden: dense.hidden,
      activation: dense.activation,
      options: { experts, minCapacity, capacity: 0, evaluationCapacity: 0, jitter: 0, balance: 0.001, zLoss: 0.001 },
    };
    const layersOf = (all: number, every: number): object =>
      layersAs(
        Array.from({ length: all }, (_, i) => ({
          feedForward: every === 1 || (every > 0 && i % every === 1) ? sparse : { name: 'dense', ...dense },
        })),
      );
    const [ofEncoder, ofDecoder] = stepsOf(theirs);
    return {
      feedForward: { hidden: dense.hidden, activation: dense.activation },
      ...layersOf(layers, ofEncoder),
      decoder: layersOf(theirs.num_decoder_layers ?? layers, ofDecoder),
    };
  },
  names: ({ num_experts: experts, d_model, d_ff }) => ({
    feedForward: (layer, ours) => [
      ...denseRules(`${layer}.mlp`, ours, false),
      [`${layer}.mlp.router.classifier.weight`, `${ours}.feedForward.router`, transposed],
      expertsRule(`${layer}.mlp.experts.expert_{e}.wi.weight`, `${ours}.feedForward.up`, {
        experts,
        inputs: d_model,
        outputs: d_ff,
      }),
      expertsRule(`${layer}.mlp.experts.expert_{e}.wo.weight`, `${ours}.feedForward.down`, {
        experts,
        inputs: d_ff,
        outputs: d_model,
      }),
    ],
  }),
  run: (call) =>
    runPair(call as never, call.model as EncoderDecoder, {
      counted: true,
      more: ({ encoder, decoder }) => {
        const [ofEncoder, ofDecoder] = stepsOf(call.theirs);
        return {
          ...routersOf(encoder, { part: 'encoder', layer: 1, losses: ofEncoder > 1 }),
          ...routersOf(decoder, { part: 'decoder', layer: 2, losses: ofDecoder > 1 }),
        };
      },
    }),
});

interface Steps {
  readonly num_layers: number;
  readonly num_decoder_layers: number | null;
  readonly num_sparse_encoder_layers: number;
  readonly num_sparse_decoder_layers: number;
  readonly encoder_sparse_step: number | null;
  readonly decoder_sparse_step: number | null;
}

/** From one sparse layer of each half to the next. */
function stepsOf(theirs: Steps): readonly [encoder: number, decoder: number] {
  const { num_layers, num_decoder_layers } = theirs;
  const every = (layers: number, sparse: number): number => (sparse > 0 ? Math.floor(layers / sparse) : layers);
  return [
    theirs.encoder_sparse_step ?? every(num_layers, theirs.num_sparse_encoder_layers),
    theirs.decoder_sparse_step ?? every(num_decoder_layers ?? num_layers, theirs.num_sparse_decoder_layers),
  ];
}

/**
 * What each router decided, and of the tokens of all layers of a sequence together the mean of `logsumexp(x·W_r)²` and `E·Σ_e f_e·P_e`, which the
 * published code does not have where every layer is sparse.
 */
function routersOf(
  seen: readonly Seen[],
  { part, layer, losses }: { readonly part: string; readonly layer: number; readonly losses: boolean },
): Outputs {
  const form = new RegExp(`^${part}\\.layers\\.(\\d+)\\.feedForward\\.router\\.(\\w+)$`);
  const outputs: Record<string, Tensor> = {};
  const [all, chosen]: Tensor[][] = [[], []];
  for (const { path, output } of seen) {
    const [, i, what] = form.exec(path) ?? [];
    const name = `router.${part}.block.${i}.layer.${layer}`;
    if (what === 'logits') {
      outputs[`${name}.logits`] = output;
      outputs[`${name}.prob`] = max(softmax(output), { axes: -1 });
      outputs[`${name}.expert`] = argmax(output, { axis: -1 });
      all!.push(output);
    }
    if (what === 'weights')
      outputs[`${name}.kept`] = reshape(cast(greater(output, 0), 'f32'), outputs[`${name}.prob`]!.shape);
    if (what === 'chosen') chosen!.push(output);
  }
  if (!losses || all!.length === 0) return outputs;
  const logits = concat(all!, { axis: 1 });
  const [, L, E] = logits.shape as [number, number, number];
  const shares = mul(
    chosen!.reduce((sums, one) => add(sums, one)),
    1 / L,
  );
  const means = mean(softmax(logits), { axes: 1 });
  return {
    ...outputs,
    [`${part}_z_loss`]: mean(square(logsumexp(logits, { axes: -1 }))),
    [`${part}_aux_loss`]: mul(mean(mul(shares, means)), E ** 2),
  };
}
