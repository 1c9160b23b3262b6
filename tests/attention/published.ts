/**
 * Defaults as the papers or their released code have them, written down by hand: nothing here is read from `src`. For one sequence
 * of 4096 tokens, in heads of 64. `ours` are those that nobody published, with the reason for the value.
 */
export interface Published {
  readonly source: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly ours?: Readonly<Record<string, readonly [value: unknown, why: string]>>;
}

const unlessAsked = 'the plain form; what is asked for by name departs from it';

export const published: Readonly<Record<string, Published>> = {
  chunked: {
    source: 'arXiv 2112.05682, the code of figure 1',
    values: { queryChunk: 1024, keyChunk: 4096 },
  },
  entmax: {
    source: 'deep-spin/entmax and arXiv 1909.00015: 1.5, where the learned α starts too',
    values: { alpha: 1.5 },
    ours: { learnAlpha: [false, unlessAsked] },
  },
  flash: { source: 'arXiv 2307.08691: nothing to choose', values: {} },
  standard: {
    source: 'arXiv 1706.03762: nothing to choose',
    values: {},
    ours: { headsAtATime: [12, 'all heads at once, while their matrices fit a buffer'] },
  },
  axial: {
    source: 'arXiv 1912.12180: the sequence is an image, of which rows and columns attend in turn',
    values: { width: 64 },
    ours: { axis: ['alternate', 'heads in turn, as one call is one layer'] },
  },
  bigbird: {
    source: 'google-research/bigbird flags, arXiv 2007.14062: blocks of 64, 3 of window, 2 global, 3 random',
    values: {
      mode: 'itc',
      blockSize: 64,
      numWindowBlocks: 3,
      numGlobalBlocks: 2,
      numRandomBlocks: 3,
      shortSequences: 'full',
    },
    ours: { randomMode: ['seeded', 'the draws of the released code depend on NumPy'] },
  },
  blockwise: {
    source: 'arXiv 1911.02972: 2 or 3 blocks',
    values: { numBlocks: 2 },
    ours: { shifts: [[], unlessAsked] },
  },
  'dilated-window': {
    source: 'arXiv 2004.05150 gives dilations for each model',
    values: {},
    ours: {
      radius: [128, 'half of 256, as heads with a dilation reach further'],
      dilations: [[1, 2, 4, 8], 'the doublings that its figure shows'],
    },
  },
  etc: {
    source: 'google-research/etcmodel, EtcConfig: local_radius 84, relative_pos_max_distance 12',
    values: { radius: 84, maxDistance: 12 },
    ours: { numGlobals: [256, 'a sixteenth of the tokens: the paper has one for each sentence'] },
  },
  fixed: {
    source: 'arXiv 1904.10509: stride near √n, c = 8 … 32 at strides of 128 and 256',
    values: { stride: 64 },
    ours: {
      columns: [0, 'a sixteenth of the stride, as 8 of 128'],
      columnGroups: [1, unlessAsked],
      part: ['union', 'the merged head of the paper'],
    },
  },
  'staggered-blocks': {
    source: 'arXiv 2208.04347, section 3 and PegasusXConfig: blocks of 512, 32 global tokens',
    values: { blockSize: 512, numGlobals: 32 },
    ours: { shift: [0, 'that of the first layer'] },
  },
  'global-tokens': {
    source: 'the star alone: no paper has it by itself',
    values: {},
    ours: {
      numGlobals: [32, 'within the 32 … 64 that surveys name'],
      globals: [[], unlessAsked],
      access: ['both', unlessAsked],
      radius: [0, 'the star alone'],
    },
  },
  'local-1d': {
    source: 'tensor2tensor, masked_local_attention_1d: blocks of 128 that see their own and the previous one',
    values: { blockSize: 128, memory: -1 },
  },
  'local-2d': {
    source: 'tensor2tensor, local_attention_2d: query_shape (8, 16), memory_flange (8, 16)',
    values: { blockHeight: 8, blockWidth: 16, flangeHeight: 8, flangeWidth: 16 },
    ours: { height: [64, 'a square'], width: [64, 'a square'], order: ['raster', 'as pixels are stored'] },
  },
  'long-short': {
    source: 'NVIDIA/transformer-ls, lra/run_tasks.py: num_landmarks 128',
    values: { numLandmarks: 128 },
    ours: { blockSize: [128, 'its window_size of 129 in blocks without a remainder'] },
  },
  'long-short-causal': {
    source: 'NVIDIA/transformer-ls, enwik8-base: window 512, chunk_size 16, chunk_rank 1',
    values: { causalWindow: 512, chunkLength: 16, chunkRank: 1 },
  },
  longformer: {
    source: 'longformer-base-4096: attention_window 512 in all, the first token global, no dilation',
    values: { radius: 256, globals: [0], dilations: [1] },
  },
  'memory-compressed': {
    source: 'tensor2tensor: attention_red_factor 3, attention_red_type conv (arXiv 1801.10198: kernel and stride 3)',
    values: { factor: 3, compression: 'convolution' },
    ours: { firstKey: ['duplicateFirstToken', 'a causal row without a block attends to the first token'] },
  },
  poolingformer: {
    source: 'arXiv 2105.04371: windows of 128 and 512, kernel 5, stride 4, LDConv, two levels',
    values: { radius: 128, poolRadius: 512, kernelSize: 5, poolStride: 4, pool: 'ldconv', levels: 2 },
  },
  'random-blocks': {
    source: 'the random part of BigBird: blocks of 64, 3 random',
    values: { blockSize: 64, numRandomBlocks: 3 },
  },
  'sliding-window': {
    source: 'longformer-base-4096: attention_window 512 in all',
    values: { radius: 256 },
    ours: { left: [-1, unlessAsked], right: [-1, unlessAsked], causalWindow: [0, unlessAsked] },
  },
  'sparse-transformer': {
    source: 'arXiv 1904.10509: strided for images, stride near √n; merged heads on EnWik8',
    values: { base: 'strided', integration: 'merged', stride: 64 },
    ours: { layer: [0, unlessAsked], columns: [0, 'a sixteenth of the stride'], columnGroups: [1, unlessAsked] },
  },
  strided: {
    source: 'arXiv 1904.10509: stride near √n',
    values: { stride: 64 },
    ours: { part: ['union', 'the merged head of the paper'] },
  },
  'induced-set': {
    source: 'juho-lee/set_transformer: 32 inducing points',
    values: { points: 32 },
  },
  luna: { source: 'XuezheMax/fairseq-apollo, the base model: 32 rows of memory', values: { memory: 32 } },
  linformer: {
    source: 'arXiv 2006.04768: k = 256, learned projections; headwise sharing is the first that section 4 lists',
    values: { projectedLength: 256, method: 'learned', sharing: 'headwise' },
    ours: { maxLength: [4096, 'the tokens at hand'] },
  },
  nystromformer: {
    source: 'arXiv 2102.03902 and its code: 64 landmarks, 6 iterations',
    values: { numLandmarks: 64, iterations: 6 },
    ours: {
      initial: ['exact', 'the released scalar mixes batch rows'],
      convolution: [0, 'no approximation of attention; 33, 35 or 65 in published code'],
    },
  },
  'linear-transformer': {
    source: 'arXiv 2006.16236: elu(x) + 1',
    values: { featureMap: 'elu1' },
    ours: {
      nu: [1, 'the fewest features of the 1, 2 and 3 that arXiv 2102.11174 tries'],
      eps: [0, "as in the formula; the authors' code has 1e-6"],
    },
  },
  performer: {
    source: 'arXiv 2009.14794: positive orthogonal features, M of the order of d·ln d, ⌊64·ln 64⌋',
    values: { numFeatures: 266, features: 'positive', orthogonal: true },
  },
  clustered: {
    source:
      'idiap/fast-transformers: bits 32, 10 iterations, a bias in the hash; arXiv 2007.04825 has 100 and 200 clusters',
    values: { numClusters: 100, bits: 32, iterations: 10, hashBias: true },
  },
  'improved-clustered': {
    source: 'as clustered; topk 32',
    values: { numClusters: 100, bits: 32, iterations: 10, hashBias: true, topK: 32 },
  },
  lev: {
    source: 'arXiv 2410.05462: 32 keys of 197 or 785, by leverage',
    values: { topK: 32, scores: 'leverage' },
    ours: {
      epsilon: [0, 'the number is given'],
      lewisPower: [1, 'read by Lewis weights only'],
      ridge: [1e-6, 'a millionth of the trace: what float32 needs'],
      blockSize: [256, 'causal only, of which the paper has none'],
    },
  },
  routing: {
    source:
      'arXiv 2003.05997: √n clusters of n/√n tokens; lucidrains/routing-transformer: decay 0.999, commitment 1e-4',
    values: { numClusters: 64, clusterSize: 64, decay: 0.999, commitment: 1e-4 },
    ours: {
      sharedQk: [false, unlessAsked],
      normalised: [false, 'scores as everywhere, so that one cluster is attention'],
    },
  },
  clusterformer: {
    source: 'arXiv 2009.06097 clusters once an epoch, so its numbers are not those of centroids that move',
    values: {},
    ours: {
      numClusters: [64, '√n, as routing has'],
      chunkLength: [64, 'as reformer has'],
      decay: [0.999, 'as routing has'],
      commitment: [1e-4, 'as routing has'],
    },
  },
  sinkhorn: {
    source: 'lucidrains/sinkhorn-transformer: 5 iterations, temperature 0.75, one block sorted to each, no SortCut',
    values: { iterations: 5, temperature: 0.75, topK: 1, sortCut: 0 },
    ours: {
      blockSize: [64, 'the smallest divisor of n from √n on: sorting and attending then cost alike'],
      sorting: ['sinkhorn', 'what it is called after; released codes choose by softmax'],
      noise: [true, 'as in the paper: in training'],
      combine: ['concat', 'one softmax, as in the paper'],
      positiveLogits: [false, unlessAsked],
    },
  },
  hyper: {
    source:
      'insuhan/hyper-attn, models/attention/hyper_attn.py: lsh_num_projs 7, block 256, sample 256, min_seq_len 4096',
    values: { blockSize: 256, sampleSize: 256, numProjections: 7, minLength: 4096, sampling: 'uniform' },
    ours: { referenceQuirks: [false, unlessAsked] },
  },
  lambda: {
    source: 'arXiv 2102.08602: local contexts of 23 × 23',
    values: { radius: 11 },
    ours: { width: [0, 'a text; the paper has images'] },
  },
  lara: {
    source:
      'HKUNLP/efficient-attention: num_landmarks 49, proposal_gen pool, mis-opt, alpha_coeff 1, one sample of each',
    values: {
      numLandmarks: 49,
      proposal: 'pool',
      mixing: 'none',
      weighting: 'optimal',
      coefficient: 1,
      numSamples: 1,
      antithetic: false,
    },
    ours: { noise: [false, 'as it is evaluated; theirs has noise in training'] },
  },
  polynomial: {
    source: 'google-research/polysketchformer: power 4, layer norm, normalization_factor 1',
    values: { power: 4, layerNorm: true, eps: 1 },
  },
  polysketch: {
    source:
      'arXiv 2310.01655 and its code: power 4, sketches of 32, grain_size 256, layer norm, normalization_factor 1',
    values: { power: 4, sketchSize: 32, blockSize: 256, layerNorm: true, eps: 1 },
    ours: {
      sketch: ['random', 'works without training'],
      scaling: ['theory', 'the released factor is 1/r of the unbiased one'],
    },
  },
  randomized: {
    source: 'HKUNLP/efficient-attention: num_samples 1; its training draws keys by their weights, and adds noise',
    values: { numSamples: 1, proposal: 'sampled', noise: true },
    ours: {
      antithetic: [false, unlessAsked],
      scaling: ['theory', 'the released one is biased'],
      maxLength: [4096, 'the tokens at hand'],
    },
  },
  retention: { source: 'arXiv 2307.08621, section 2.1', values: {} },
  'gated-linear': { source: 'arXiv 2312.06635, section 4.4: τ = 16', values: { tau: 16 } },
  delta: { source: 'arXiv 2406.06484, section 3.4: SiLU and rows of length 1', values: { featureMap: 'silu' } },
  'gated-delta': { source: 'arXiv 2412.06464, figure 1: SiLU and rows of length 1', values: { featureMap: 'silu' } },
  rfa: {
    source: 'Noahs-ARK/RFA: causal_proj_dim 64, of two features each, tau 1, no gate in the released code',
    values: { numFeatures: 128, temperature: 1, gate: false },
    ours: { scaling: ['theory', 'a factor of 0.1 and divisors of at least 1 shrink the first tokens of a text'] },
  },
  reformer: {
    source: 'Hugging Face ReformerConfig (lsh_attn_chunk_length 64, one chunk before, one hash), trax for the rest',
    values: {
      rounds: 1,
      chunkLength: 64,
      lookBack: 1,
      numBuckets: 0,
      wrapAround: true,
      sameBucket: false,
      correctDuplicates: false,
      selfAlone: true,
      logits: 'trax',
    },
    ours: {
      bucketFactors: [[], unlessAsked],
      hashSeed: [-1, 'hashes are drawn as all that is: from the seed of the layer'],
    },
  },
  fnet: { source: 'arXiv 2105.03824: nothing to choose', values: {} },
  synthesizer: {
    source: 'arXiv 2005.00743: dense; tensorflow/mesh has factorized_dim 16',
    values: { logits: 'dense', rank: 16 },
    ours: {
      mixture: ['none', unlessAsked],
      maxLength: [4096, 'the tokens at hand'],
      fixed: [false, 'learned, as the better of the two'],
    },
  },
};
