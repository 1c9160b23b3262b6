import { tensor, type Tensor } from '../../tensor/index.js';
import { isList } from '../../core/describe.js';
import { listOf, oneOf, wholeFrom } from '../../core/requirements.js';
import { reshaped, transposed, type Change, type Parameter, type WeightRule } from '../../nn/index.js';
import { add, cast, concat, split, transpose } from '../../ops/index.js';
import type { Transformer } from '../../models/index.js';
import { activationNames, activationOf } from '../activations.js';
import { defineFamily, type Outputs, type RunCall } from '../family.js';
import { count, counts, field, only, real, word, yes, type Theirs } from '../fields.js';
import { integersOf } from '../inputs.js';
import { apart, linear } from '../projections.js';
import { contextOf, needed, watched } from '../run.js';

const kinds = ['local', 'lsh'] as const;
type AttentionKind = (typeof kinds)[number];

const fields = {
  vocab_size: count(320, 2),
  hidden_size: count(256),
  num_attention_heads: count(12),
  attention_head_size: count(64),
  feed_forward_size: count(512),
  hidden_act: word(activationNames, 'relu'),
  layer_norm_eps: real(1e-12),
  max_position_embeddings: count(4096),
  attn_layers: field<readonly AttentionKind[]>(listOf('kinds of attention', oneOf(kinds)), [
    'local',
    'lsh',
    'local',
    'lsh',
    'local',
    'lsh',
  ]),
  // it is attn_layers that counts
  num_hidden_layers: count(null as number | null),
  axial_pos_embds: yes(true),
  axial_pos_shape: counts([64, 64]),
  axial_pos_embds_dim: counts([64, 192]),
  local_attn_chunk_length: count(64),
  local_num_chunks_before: only([1], 'local layers look back one chunk here'),
  local_num_chunks_after: only([0], 'chunks that come after are not seen here'),
  lsh_attn_chunk_length: count(64),
  lsh_num_chunks_before: count(1, 0),
  lsh_num_chunks_after: only([0], 'chunks that come after are not seen here'),
  num_hashes: count(1),
  num_buckets: field<number | readonly number[] | null>(
    {
      must: 'an even number of at least 2, or a list of them',
      holds: (value) => [value].flat().every((one) => wholeFrom(2).holds(one) && (one as number) % 2 === 0),
    },
    null,
  ),
  hash_seed: count(null as number | null, 0),
  is_decoder: only([true], 'local layers of an encoder look back around the end of the text, which is not here'),
  tie_word_embeddings: only([false], 'its rows are twice as wide as its table'),
} as const;
type Pair = readonly [number, number];
type ReformerTheirs = Theirs<typeof fields>;

/** Buckets where the configuration leaves them open: two a chunk, a power of two, or two factors of it where that is many. */
function bucketsOf(theirs: ReformerTheirs): readonly number[] {
  const { num_buckets: given, lsh_attn_chunk_length: chunk, max_position_embeddings: length } = theirs;
  if (given !== null) return isList(given) ? given : [given];
  const power = Math.max(1, Math.floor(Math.log2(2 * Math.floor(length / chunk))));
  const most = 2 * Math.max(Math.floor(Math.sqrt(Math.floor(length / chunk))), chunk);
  if (2 ** power <= most) return [2 ** power];
  return [2 ** Math.floor(power / 2), 2 ** (power - Math.floor(power / 2))];
}

const attentionOf = (kind: AttentionKind, theirs: ReformerTheirs): object =>
  kind === 'local'
    ? {
        name: 'local-1d',
        options: { blockSize: theirs.local_attn_chunk_length, memory: theirs.local_attn_chunk_length },
      }
    : {
        name: 'reformer',
        options: {
          rounds: theirs.num_hashes,
          chunkLength: theirs.lsh_attn_chunk_length,
          lookBack: theirs.lsh_num_chunks_before,
          bucketFactors: bucketsOf(theirs),
          hashSeed: theirs.hash_seed ?? -1,
        },
      };

/** Queries and keys are one; ours has a place for keys, which nothing reads. */
const shared = (size: number): Change => ({
  toOurs: ([both, v]) => [
    concat(
      [both!, both!, v!].map((x) => transpose(x)),
      { axis: 1 },
    ),
  ],
  toTheirs: ([all]) => {
    const [q, , v] = split(all!, [size, size, size], { axis: 1 });
    return [transpose(q!), transpose(v!)];
  },
});

function rulesOf(theirs: ReformerTheirs, prefix: string): readonly WeightRule[] {
  const { num_attention_heads: heads, attention_head_size: headDim } = theirs;
  const [[s0, s1], [d0, d1]] = [theirs.axial_pos_shape, theirs.axial_pos_embds_dim] as [Pair, Pair];
  const positions = `${prefix}embeddings.position_embeddings`;
  return [
    [`${prefix}embeddings.word_embeddings.weight`, 'ends.embedding.weight'],
    ...(theirs.axial_pos_embds
      ? ([
          [`${positions}.weights.0`, 'stack.positions.grid.first', reshaped([s0, 1, d0], [s0, d0])],
          [`${positions}.weights.1`, 'stack.positions.grid.second', reshaped([1, s1, d1], [s1, d1])],
        ] as const)
      : ([[`${positions}.embedding.weight`, 'stack.positions.table']] as const)),
    ...theirs.attn_layers.flatMap((kind, i): readonly WeightRule[] => {
      const [layer, ours] = [`${prefix}encoder.layers.${i}`, `stack.layers.${i}`];
      const self = `${layer}.attention.self_attention`;
      return kind === 'local'
        ? apart(self, `${ours}.attention`, { heads, kvHeads: heads, headDim }, ['query', 'key', 'value']).slice(0, 1)
        : [
            [
              [`${self}.query_key.weight`, `${self}.value.weight`],
              `${ours}.attention.qkv.weight`,
              shared(heads * headDim),
            ],
          ];
    }),
    ...(
      [
        ['attention.layer_norm', 'attentionResidual.norm'],
        ['feed_forward.layer_norm', 'feedForwardResidual.norm'],
      ] as const
    ).map(([of, to]): WeightRule => [`${prefix}encoder.layers.{i}.${of}.{*}`, `stack.layers.{i}.${to}.{*}`]),
    [`${prefix}encoder.layers.{i}.attention.output.dense.weight`, 'stack.layers.{i}.attention.out.weight', transposed],
    ...linear(`${prefix}encoder.layers.{i}.feed_forward.dense.dense`, 'stack.layers.{i}.feedForward.up'),
    ...linear(`${prefix}encoder.layers.{i}.feed_forward.output.dense`, 'stack.layers.{i}.feedForward.down'),
    [`${prefix}encoder.layer_norm.{*}`, 'stack.norm.{*}'],
  ];
}

export const reformer = defineFamily({
  modelType: 'reformer',
  title: 'Reformer',
  paper: {
    authors: 'Kitaev, Kaiser, Levskaya',
    title: 'Reformer: The Efficient Transformer',
    year: 2020,
    arxiv: '2001.04451',
  },
  classes: {
    ReformerModelWithLMHead: { task: 'generate', mark: 'lm_head.bias' },
    ReformerModel: { task: 'base' },
  },
  prefix: 'reformer.',
  fields,
  config: (theirs, cls) => ({
    kind: 'decoder',
    width: theirs.hidden_size,
    heads: theirs.num_attention_heads,
    headDim: theirs.attention_head_size,
    length: theirs.max_position_embeddings,
    vocabulary: theirs.vocab_size,
    layers: theirs.attn_layers.map((kind) => ({ mechanism: attentionOf(kind, theirs) })),
    position: {
      method: 'learned',
      ...(theirs.axial_pos_embds && {
        grid: { shape: theirs.axial_pos_shape, widths: theirs.axial_pos_embds_dim },
      }),
    },
    feedForward: { hidden: theirs.feed_forward_size, activation: activationOf(theirs.hidden_act) },
    norm: { kind: 'layer', place: 'pre', epsilon: theirs.layer_norm_eps },
    residual: { kind: 'reversible', joined: true },
    tied: false,
    ...(cls.task === 'generate' && { prediction: { bias: true } }),
  }),
  map: (theirs, cls) => ({
    rules: [
      ...rulesOf(theirs, cls.prefix),
      ...(cls.task === 'base'
        ? []
        : ([
            ['lm_head.decoder.weight', 'ends.head.weight', transposed],
            ['lm_head.bias', 'ends.bias'],
          ] as const)),
    ],
    ...(cls.task === 'base' ? { unused: ['lm_head.{*}'] } : { ties: { 'lm_head.decoder.bias': 'lm_head.bias' } }),
    // drawn from hash_seed, or, where there is none, from a seed of ours: the published code draws them anew in every call
    own: ['stack.layers.{i}.attention.rotations', ...(cls.task === 'base' ? ['ends.head.weight'] : [])],
  }),
  run: (call) => runReformer(call as unknown as RunCall),
  notes: (theirs) => [
    ...(theirs.hash_seed === null && theirs.attn_layers.includes('lsh')
      ? ['It hashes by random rotations that the published code draws anew in every call; here they are drawn once.']
      : []),
    'A length that is no multiple of its chunks is not padded: the first chunks look back on the last tokens, not on padding.',
  ],
});

/** Hidden states are the second stream, to which every layer's feed-forward branch is added. */
function runReformer(call: RunCall): Outputs {
  const { inputs, device, cls } = call;
  const model = call.model as Transformer;
  contextOf(call, ['input_ids']);
  const tokens = integersOf('input_ids', needed(inputs, 'input_ids'), device);
  const { result, seen } = withRotations(call, () => watched(() => model.hidden(tokens)));
  const branches = seen.filter(({ path }) => /^stack\.layers\.\d+$/.test(path)).map(({ output }) => output);
  let stream = seen.find(({ path }) => path === 'ends')!.output;
  const states = [stream, ...branches.map((branch) => (stream = add(stream, branch)))];
  const hidden = Object.fromEntries(states.map((state, i) => [`hidden_states.${i}`, state]));
  if (cls.task === 'base') return { last_hidden_state: result, ...hidden };
  return { logits: model.ends.logits(cast(result, 'f32')), ...hidden };
}

/** With the rotations `[H, D, R, F]` that the layers which hash drew, `randn.0` and so on, where they are given. */
function withRotations<T>({ model, draws }: RunCall, run: () => T): T {
  const layers = [...model.namedParameters()].filter(([name]) => name.endsWith('.rotations'));
  const lent: [Parameter, Tensor | undefined][] = [];
  try {
    layers.forEach(([, parameter], i) => {
      const drawn = draws[`randn.${i}`];
      if (drawn === undefined) return;
      const { device } = parameter.value;
      const theirs = tensor(Float32Array.from(drawn.data), drawn.shape, { device });
      // ours are [R, H, D, F]
      lent.push([parameter, parameter.lend(transpose(theirs, [2, 0, 1, 3]))]);
    });
    return run();
  } finally {
    for (const [parameter, before] of lent) parameter.lend(before);
  }
}
