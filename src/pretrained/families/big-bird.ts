import { activationNames, activationOf } from '../activations.js';
import {
  bertConfig,
  bertFields,
  bertHeads,
  bertRules,
  causalField,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
  norm,
} from '../bert-like.js';
import { OptionError } from '../../core/errors.js';
import type { WeightRule } from '../../nn/index.js';
import { sub } from '../../ops/index.js';
import { tensor } from '../../tensor/index.js';
import { defineFamily, type Outputs, type RunCall } from '../family.js';
import { count, word, yes } from '../fields.js';
import { typesOf } from '../inputs.js';
import { linear } from '../projections.js';
import { needed, runModel } from '../run.js';

/** Attention as the published code computes it outside of training, as JSON. */
export const blockSparse = (theirs: {
  readonly attention_type: string;
  readonly block_size: number;
  readonly num_random_blocks: number;
}): object =>
  theirs.attention_type === 'original_full'
    ? { mechanism: 'flash' }
    : {
        mechanism: {
          name: 'bigbird',
          options: { blockSize: theirs.block_size, numRandomBlocks: theirs.num_random_blocks, randomMode: 'hfEval' },
        },
      };

export const blockFields = {
  attention_type: word(['block_sparse', 'original_full'], 'block_sparse'),
  block_size: count(64),
  num_random_blocks: count(3, 0),
} as const;

const { BigBirdForQuestionAnswering: _, ...classes } = encoderClasses('BigBird', {
  masked: 'cls.predictions.bias',
  sequence: 'classifier.out_proj.weight',
});

/**
 * BigBird outside of training: no random blocks, and block 0 counted once more for each of them. Texts of at most (5 + 2r)·b tokens are attended
 * to whole, each call for itself.
 */
export const bigBird = defineFamily({
  modelType: 'big_bird',
  title: 'BigBird',
  paper: {
    authors: 'Zaheer et al.',
    title: 'Big Bird: Transformers for Longer Sequences',
    year: 2020,
    arxiv: '2007.14062',
  },
  classes: {
    BigBirdForCausalLM: { task: 'generate' },
    BigBirdForQuestionAnswering: { task: 'answer', mark: 'qa_classifier.qa_outputs.weight' },
    BigBirdForPreTraining: { task: 'fill-mask', mark: 'cls.seq_relationship.weight' },
    ...classes,
  },
  prefix: 'bert.',
  fields: {
    ...bertFields,
    ...causalField,
    ...blockFields,
    vocab_size: count(50358, 2),
    hidden_act: word(activationNames, 'gelu_new'),
    max_position_embeddings: count(4096),
    use_bias: yes(true),
    rescale_embeddings: yes(false),
  },
  config: (theirs, cls) => ({
    ...bertConfig(theirs),
    ...blockSparse(seeingBefore(theirs)),
    bias: theirs.use_bias ? true : 'out',
    embedding: {
      norm: 'layer',
      types: theirs.type_vocab_size,
      ...(theirs.rescale_embeddings && { scale: Math.sqrt(theirs.hidden_size) }),
    },
    ...headConfig(theirs, cls, { dense: activationOf(theirs.hidden_act) }),
    ...(cls.task === 'answer' && { head: { classes: 2, pool: 'none', feedForward: true } }),
  }),
  map: (theirs, cls) => {
    const head = headMap(theirs, cls, bigBirdHeads(cls));
    return joinedMap(
      bertRules(theirs, cls),
      cls.task === 'answer' ? { ...head, rules: answerRules, unused: [...head.unused!, 'classifier.{*}'] } : head,
    );
  },
  run: (call) =>
    call.cls.task === 'answer' ? runAnswers(call as unknown as RunCall) : runModel(call as unknown as RunCall),
  inputs: { token_type_ids: typesOf },
  notes: ({ attention_type, block_size, num_random_blocks }) =>
    attention_type === 'original_full'
      ? []
      : [
          `Texts of at most ${(5 + 2 * num_random_blocks) * block_size} tokens are attended to whole, longer ones by blocks, as published.`,
        ],
});

/** @throws OptionError for a decoder by blocks, which as published sees what comes after. */
function seeingBefore<T extends { readonly is_decoder: boolean; readonly attention_type: string }>(theirs: T): T {
  if (!theirs.is_decoder || theirs.attention_type === 'original_full') return theirs;
  throw new OptionError(
    'config.json of BigBird: as a decoder (is_decoder) it takes attention_type "original_full": its blocks see tokens that come after, as published.',
  );
}

/** A feed-forward layer with its norm, then where an answer begins and ends. */
const answerRules: readonly WeightRule[] = [
  ...linear('qa_classifier.intermediate.dense', 'feedForward.up'),
  ...linear('qa_classifier.output.dense', 'feedForward.down'),
  ...norm('qa_classifier.output.LayerNorm', 'feedForwardResidual.norm'),
  ...linear('qa_classifier.qa_outputs', 'head'),
];

/** What the published code takes from logits of the question. */
const FAR = 1e6;

/**
 * Places of an answer in the context, which begins behind the first separator: its tokens are of type 1 unless types are given, and those of
 * the question but the first are no places.
 */
function runAnswers(call: RunCall): Outputs {
  const { inputs, device, theirs } = call;
  const { data, shape } = needed(inputs, 'input_ids');
  const [B, L] = shape as [number, number];
  const rows = Array.from({ length: B }, (_, b) => Array.from({ length: L }, (__, i) => data[b * L + i]!));
  // without a separator the first token is the question, as published
  const questions = rows.map((row) => Math.max(0, row.indexOf((theirs.sep_token_id as number | null) ?? 66)) + 1);
  const flags = (of: (i: number, question: number) => boolean): number[] =>
    questions.flatMap((question) => Array.from({ length: L }, (_, i) => Number(of(i, question))));
  const types = { data: flags((i, question) => i >= question), shape: [B, L] };
  const outputs = runModel({ ...call, inputs: { token_type_ids: types, ...inputs } });
  const asked = tensor(
    Float32Array.from(
      flags((i, question) => i > 0 && i < question),
      (one) => FAR * one,
    ),
    [B, L],
    {
      device,
    },
  );
  const { start_logits: starts, end_logits: ends } = outputs;
  return { ...outputs, start_logits: sub(starts!, asked), end_logits: sub(ends!, asked) };
}

const bigBirdHeads: typeof bertHeads = (cls) => ({
  ...bertHeads(cls),
  pooler: `${cls.prefix}pooler`,
  dense: 'classifier.dense',
  classes: 'classifier.out_proj',
});
