import { activationNames, activationOf } from '../activations.js';
import {
  bertConfig,
  bertFields,
  bertHeads,
  bertRules,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
} from '../bert-like.js';
import { defineFamily } from '../family.js';
import { count, word, yes } from '../fields.js';
import { typesOf } from '../inputs.js';

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

// its head for answers has a feed-forward block of its own, which is not read yet
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
    BigBirdForPreTraining: { task: 'fill-mask', mark: 'cls.seq_relationship.weight' },
    ...classes,
  },
  prefix: 'bert.',
  fields: {
    ...bertFields,
    ...blockFields,
    vocab_size: count(50358, 2),
    hidden_act: word(activationNames, 'gelu_new'),
    max_position_embeddings: count(4096),
    use_bias: yes(true),
    rescale_embeddings: yes(false),
  },
  config: (theirs, cls) => ({
    ...bertConfig(theirs),
    ...blockSparse(theirs),
    bias: theirs.use_bias ? true : 'out',
    embedding: {
      norm: 'layer',
      types: theirs.type_vocab_size,
      ...(theirs.rescale_embeddings && { scale: Math.sqrt(theirs.hidden_size) }),
    },
    ...headConfig(theirs, cls, { dense: activationOf(theirs.hidden_act) }),
  }),
  map: (theirs, cls) => joinedMap(bertRules(theirs, cls), headMap(theirs, cls, bigBirdHeads(cls))),
  inputs: { token_type_ids: typesOf },
  notes: ({ attention_type, block_size, num_random_blocks }) =>
    attention_type === 'original_full'
      ? []
      : [
          `Texts of at most ${(5 + 2 * num_random_blocks) * block_size} tokens are attended to whole, longer ones by blocks, as published.`,
        ],
});

const bigBirdHeads: typeof bertHeads = (cls) => ({
  ...bertHeads(cls),
  pooler: `${cls.prefix}pooler`,
  dense: 'classifier.dense',
  classes: 'classifier.out_proj',
});
