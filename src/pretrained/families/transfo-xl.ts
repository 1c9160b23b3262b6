import { chain, joined, parted, transposed, type WeightRule } from '../../nn/index.js';
import type { RecurrentModel } from '../../models/index.js';
import { defineFamily } from '../family.js';
import { count, counts, field, only, real, yes } from '../fields.js';
import { runSegments } from '../run-segments.js';
import { listOf, flag } from '../../core/requirements.js';

interface Clusters {
  readonly vocab_size: number;
  readonly cutoffs: readonly number[];
  readonly d_model: number;
  readonly d_embed: number | null;
  readonly div_val: number;
  readonly adaptive: boolean;
  readonly tie_projs: readonly boolean[];
}

/** Tokens of each cluster, and whether vectors pass matrices. */
function clustersOf({ vocab_size: all, cutoffs, d_model, d_embed, div_val, adaptive }: Clusters) {
  const bounds = [0, ...(adaptive ? cutoffs : []), all];
  const sizes = bounds.slice(1).map((end, i) => end - bounds[i]!);
  const width = d_embed ?? d_model;
  return { sizes, width, several: div_val > 1 && sizes.length > 1, projected: div_val > 1 || width !== d_model };
}

/** Which matrices of the softmax are those of the embedding. */
const projections = ({ tie_projs: tied, cutoffs }: Clusters): 'tied' | 'tails' | 'own' => {
  const all = [...tied, ...new Array<boolean>(cutoffs.length + 1).fill(true)].slice(0, cutoffs.length + 1);
  if (all.every((one) => one)) return 'tied';
  return all.some((one) => one) ? 'tails' : 'own';
};

/** The memory begins as zeros, which are seen; with `same_length` each token sees as many as the memory has. */
export const transfoXl = defineFamily({
  modelType: 'transfo-xl',
  title: 'Transformer-XL',
  paper: {
    authors: 'Dai et al.',
    title: 'Transformer-XL: Attentive Language Models Beyond a Fixed-Length Context',
    year: 2019,
    arxiv: '1901.02860',
  },
  classes: {
    TransfoXLLMHeadModel: { task: 'generate', mark: 'crit.cluster_weight' },
    TransfoXLModel: { task: 'base' },
  },
  prefix: 'transformer.',
  fields: {
    vocab_size: count(267735, 2),
    cutoffs: counts([20000, 40000, 200000]),
    d_model: count(1024),
    d_embed: count(null as number | null),
    n_head: count(16),
    d_head: count(64),
    d_inner: count(4096),
    div_val: count(4),
    n_layer: count(18),
    mem_len: count(1600, 0),
    clamp_len: count(1000, -1),
    same_length: yes(true),
    adaptive: yes(true),
    proj_share_all_but_first: yes(true),
    tie_projs: field<readonly boolean[]>(listOf('true and false', flag), [false, true, true, true]),
    untie_r: yes(true),
    attn_type: only([0], 'positions other than distances are not read here'),
    pre_lnorm: only([false], 'norms before the branches have none at the end there'),
    sample_softmax: only([-1], 'a sampled softmax is not read here'),
    layer_norm_epsilon: real(1e-5),
  },
  config: (theirs, { task }) => {
    const { mem_len: memory, d_model: width, clamp_len: clamp, adaptive, cutoffs, div_val: divide } = theirs;
    return {
      kind: 'transformer-xl',
      vocabulary: theirs.vocab_size,
      width,
      heads: theirs.n_head,
      headDim: theirs.d_head,
      layers: theirs.n_layer,
      // as many as the memory holds, of which there may be none
      length: Math.max(1, memory),
      tied: theirs.tie_word_embeddings,
      embedding: {
        width: clustersOf(theirs).width,
        scale: Math.sqrt(width),
        adaptive: { cutoffs: adaptive ? cutoffs : [], divide },
      },
      ...(task !== 'base' && { prediction: { adaptive: projections(theirs) } }),
      position: { method: 'transformer-xl', ...(clamp > 0 && { clamp }), ...(!theirs.untie_r && { shared: true }) },
      mechanism:
        theirs.same_length && memory > 0
          ? { name: 'sliding-window', options: { causalWindow: memory } }
          : { name: 'flash' },
      norm: { kind: 'layer', place: 'post', epsilon: theirs.layer_norm_epsilon },
      feedForward: { hidden: theirs.d_inner, activation: 'relu' },
      memory: { length: memory, ...(memory > 0 && { initial: 'zeros' }) },
    };
  },
  map: (theirs, { prefix, task }) => {
    const { sizes, several, projected } = clustersOf(theirs);
    const { n_head: H, d_head: d, tie_word_embeddings: tied, untie_r: untied } = theirs;
    const [layer, to] = [`${prefix}layers.{i}`, 'stack.layers.{i}'];
    const names = (of: (i: number) => string): string[] => sizes.map((_, i) => of(i));
    const table = (i: number): string => `${prefix}word_emb.emb_layers.${i}.weight`;
    const matrix = (i: number): string => `${prefix}word_emb.emb_projs.${i}`;
    const matrices = projected ? (several ? sizes.map((_, i) => i) : [0]) : [];
    const linear = (from: string, ours: string): WeightRule[] => [
      [`${from}.weight`, `${ours}.weight`, transposed],
      [`${from}.bias`, `${ours}.bias`],
    ];
    const bias = (theirName: string, ours: string): WeightRule =>
      untied
        ? [`${layer}.dec_attn.${theirName}`, `${to}.attention.${ours}`]
        : [`${prefix}${theirName}`, `stack.positions.${ours}`];
    const how = projections(theirs);
    const owns = (i: number): boolean => projected && (how === 'own' || (how === 'tails' && i === 0));
    const softmax: WeightRule[] = [
      ...(sizes.length > 1
        ? ([
            ['crit.cluster_weight', 'ends.adaptive.clusters'],
            ['crit.cluster_bias', 'ends.adaptive.clusterBias'],
          ] as const)
        : []),
      several
        ? [names((i) => `crit.out_layers.${i}.bias`), 'ends.adaptive.bias', joined(0, sizes)]
        : ['crit.out_layers.0.bias', 'ends.adaptive.bias'],
      ...sizes.flatMap((_, i): WeightRule[] =>
        owns(i) ? [[`crit.out_projs.${i}`, `ends.adaptive.projection${i}`, transposed]] : [],
      ),
      ...(tied
        ? []
        : several
          ? sizes.map((_, i): WeightRule => [`crit.out_layers.${i}.weight`, `ends.adaptive.table${i}`])
          : [
              [
                'crit.out_layers.0.weight',
                names((i) => `ends.adaptive.table${i}`),
                parted(0, sizes),
              ] satisfies WeightRule,
            ]),
    ];
    const ties = {
      ...(tied &&
        Object.fromEntries((several ? sizes : [0]).map((_, i) => [`crit.out_layers.${i}.weight`, table(i)] as const))),
      ...Object.fromEntries(
        (projected ? sizes : []).flatMap((_, i) =>
          owns(i) ? [] : [[`crit.out_projs.${i}`, matrix(several ? i : 0)] as const],
        ),
      ),
    };
    return {
      rules: [
        ...(several ? sizes : [0]).map((_, i): WeightRule => [table(i), `ends.embedding.tables.${i}.weight`]),
        ...matrices.map((i): WeightRule => [matrix(i), `ends.embedding.projection${i}`, transposed]),
        [
          `${layer}.dec_attn.qkv_net.weight`,
          [`${to}.attention.query.weight`, `${to}.attention.keyValue.weight`],
          chain(transposed, parted(1, [H * d, 2 * H * d])),
        ],
        [`${layer}.dec_attn.o_net.weight`, `${to}.attention.out.weight`, transposed],
        [`${layer}.dec_attn.r_net.weight`, `${to}.attention.weight`],
        bias('r_w_bias', 'contentBias'),
        bias('r_r_bias', 'positionBias'),
        [`${layer}.dec_attn.layer_norm.{*}`, `${to}.attentionResidual.norm.{*}`],
        ...linear(`${layer}.pos_ff.CoreNet.0`, `${to}.feedForward.up`),
        ...linear(`${layer}.pos_ff.CoreNet.3`, `${to}.feedForward.down`),
        [`${layer}.pos_ff.layer_norm.{*}`, `${to}.feedForwardResidual.norm.{*}`],
        ...(task === 'base' ? [] : softmax),
      ],
      unused: task === 'base' ? ['crit.{*}'] : [],
      ...(task !== 'base' && { ties }),
      // inverse frequencies
      ignored: [`${prefix}pos_emb.inv_freq`],
    };
  },
  run: (call) => runSegments(call as never, call.model as RecurrentModel),
});
