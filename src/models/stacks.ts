import type { Paper } from '../attention/index.js';

/** A model to begin with: what its configuration says, as `readConfig` reads it. */
export interface Preset {
  /** What it is, in a line. */
  readonly help: string;
  readonly paper?: Paper;
  /** What it is trained for; default the next token. */
  readonly objective?: 'masked' | 'classify';
  readonly model: Readonly<Record<string, unknown>>;
}

/** Whole stacks as configurations: what layers are, one after the other. Their sizes learn a book in minutes, as those of `tiny`. */
type Stacks = Readonly<Record<string, Preset>>;

const sizes = { width: 128, heads: 4 } as const;
/** An encoder that fills in what is masked. */
const encoder = { ...sizes, kind: 'encoder' } as const;
const masked = { objective: 'masked' } as const;
const classes = { objective: 'classify' } as const;

const named = (name: string, options: object = {}): object => ({ mixer: { name, options } });
const window = (radius: number): object => ({ mechanism: { name: 'sliding-window', options: { radius } } });
const times = (count: number, layer: object = {}): object[] => Array.from({ length: count }, () => layer);

const funnelPaper = {
  authors: 'Dai et al.',
  title: 'Funnel-Transformer: Filtering out Sequential Redundancy for Efficient Language Processing',
  year: 2020,
  arxiv: '2006.03236',
} as const;

/** Layers that shorten the sequence, and give it back. */
export const pooled = {
  funnel: {
    help: 'Funnel: three blocks of four layers, rows halved between them, and a decoder of two; --position transformer-xl as published',
    paper: funnelPaper,
    ...masked,
    model: {
      ...encoder,
      length: 512,
      layers: [
        ...times(4),
        { pooling: 'mean' },
        ...times(3),
        { pooling: 'mean' },
        ...times(3),
        { pooling: 'restore' },
        {},
      ],
    },
  },
  'token-learner': {
    help: 'TokenLearner inside an encoder: 64 learned tokens between the first and the last layer',
    paper: {
      authors: 'Ryoo et al.',
      title: 'TokenLearner: What Can 8 Learned Tokens Do for Images and Videos?',
      year: 2021,
      arxiv: '2106.11297',
    },
    ...masked,
    model: {
      ...encoder,
      length: 512,
      layers: [{}, named('token-learner', { tokens: 64 }), {}, {}, named('token-fuser', { tokens: 64 }), {}],
    },
  },
} as const satisfies Stacks;

/** Stacks whose layers work on a few rows that hold the sequence. */
export const summarised = {
  'set-transformer': {
    help: 'Set Transformer: the order of tokens is nothing; two layers through 32 learned points, four rows that stand for the set',
    paper: {
      authors: 'Lee et al.',
      title: 'Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks',
      year: 2018,
      arxiv: '1810.00825',
    },
    ...classes,
    model: {
      ...encoder,
      length: 512,
      position: 'none',
      layers: [
        ...times(2, named('induced-set', { points: 32 })),
        named('pooling-attention', { seeds: 4 }),
        named('set-attention'),
      ],
    },
  },
  perceiver: {
    help: 'Perceiver: 128 latents ask all tokens, and two layers of them twice with the same weights',
    paper: {
      authors: 'Jaegle et al.',
      title: 'Perceiver: General Perception with Iterative Attention',
      year: 2021,
      arxiv: '2103.03206',
    },
    ...classes,
    model: {
      ...encoder,
      length: 1024,
      position: 'learned',
      layers: [named('perceiver', { latents: 128 }), {}, {}, { as: 1 }, { as: 2 }],
    },
  },
  'perceiver-io': {
    help: 'Perceiver IO: 128 latents ask all tokens, two layers of them twice with the same weights, and every place asks the latents',
    paper: {
      authors: 'Jaegle et al.',
      title: 'Perceiver IO: A General Architecture for Structured Inputs & Outputs',
      year: 2021,
      arxiv: '2107.14795',
    },
    ...masked,
    model: {
      ...encoder,
      length: 1024,
      position: 'learned',
      layers: [named('perceiver', { latents: 128 }), {}, {}, { as: 1 }, { as: 2 }, named('perceiver-output')],
    },
  },
  'perceiver-ar': {
    help: 'Perceiver AR: the last 256 tokens ask all before them, and five layers are of these alone',
    paper: {
      authors: 'Hawthorne et al.',
      title: 'General-purpose, long-context autoregressive modeling with Perceiver AR',
      year: 2022,
      arxiv: '2202.07765',
    },
    model: {
      ...sizes,
      length: 1024,
      position: 'sinusoidal',
      layers: [named('perceiver', { latents: 256 }), ...times(5, { position: 'rope' })],
    },
  },
  luna: {
    help: 'Luna: a memory of 32 rows goes from layer to layer, packs the tokens and is read by them',
    paper: { authors: 'Ma et al.', title: 'Luna: Linear Unified Nested Attention', year: 2021, arxiv: '2106.01540' },
    ...masked,
    model: {
      ...encoder,
      length: 512,
      position: 'learned',
      layers: [
        named('luna', { closes: false }),
        ...times(2, named('luna', { opens: false, closes: false })),
        named('luna', { opens: false }),
      ],
    },
  },
} as const satisfies Stacks;

const fnetPaper = {
  authors: 'Lee-Thorp et al.',
  title: 'FNet: Mixing Tokens with Fourier Transforms',
  year: 2021,
  arxiv: '2105.03824',
} as const;
const mixing = (name: string, help: string, paper: Preset['paper'] = fnetPaper): Preset => ({
  help,
  paper: paper,
  ...masked,
  model: { ...encoder, layers: 4, length: 256, position: 'learned', mixer: name },
});

/** Encoders with something else in the place of attention. */
export const replaced = {
  fnet: mixing('fnet', 'FNet: Fourier transforms along rows and features'),
  'linear-encoder': mixing('linear-encoder', 'learned matrices along rows and features'),
  'random-encoder': mixing('random-encoder', 'matrices along rows and features that stay as they were drawn'),
  'mlp-mixer': mixing('mlp-mixer', 'MLP-Mixer: a perceptron along rows, shared by all features', {
    authors: 'Tolstikhin et al.',
    title: 'MLP-Mixer: An all-MLP Architecture for Vision',
    year: 2021,
    arxiv: '2105.01601',
  }),
} as const satisfies Stacks;

/** Layers near and far in turn. */
export const mixed = {
  hybrid: {
    help: 'three layers of windows to one that sees all',
    paper: {
      authors: 'Beltagy et al.',
      title: 'Longformer: The Long-Document Transformer',
      year: 2020,
      arxiv: '2004.05150',
    },
    model: { ...sizes, layers: 8, length: 1024, pattern: [...times(3, window(64)), {}] },
  },
  longformer: {
    help: 'Longformer encoder: windows that grow with the depth, and a global first token',
    paper: {
      authors: 'Beltagy et al.',
      title: 'Longformer: The Long-Document Transformer',
      year: 2020,
      arxiv: '2004.05150',
    },
    ...masked,
    model: {
      ...encoder,
      layers: 4,
      length: 1024,
      mechanism: { name: 'longformer', options: { globals: [0] } },
      schedules: { radius: [32, 256] },
    },
  },
  bigbird: {
    help: 'BigBird encoder: windows, global blocks, and random ones drawn for each head',
    paper: {
      authors: 'Zaheer et al.',
      title: 'Big Bird: Transformers for Longer Sequences',
      year: 2020,
      arxiv: '2007.14062',
    },
    ...masked,
    model: {
      ...encoder,
      layers: 4,
      length: 1024,
      mechanism: { name: 'bigbird', options: { blockSize: 32, shortSequences: 'sparse' } },
    },
  },
  poolingformer: {
    help: 'Poolingformer encoder: windows, and in every second layer pooled keys of a wider one',
    paper: {
      authors: 'Zhang et al.',
      title: 'Poolingformer: Long Document Modeling with Pooling Attention',
      year: 2021,
      arxiv: '2105.04371',
    },
    ...masked,
    model: {
      ...encoder,
      layers: 4,
      length: 1024,
      pattern: [1, 2].map((levels) => ({
        mechanism: { name: 'poolingformer', options: { levels, radius: 64, poolRadius: 256 } },
      })),
    },
  },
  routing: {
    help: 'Routing Transformer: windows and clusters of tokens by their content, in turn',
    paper: {
      authors: 'Roy et al.',
      title: 'Efficient Content-Based Sparse Attention with Routing Transformers',
      year: 2020,
      arxiv: '2003.05997',
    },
    model: { ...sizes, layers: 4, length: 512, pattern: [window(64), { mechanism: 'routing' }] },
  },
  sinkhorn: {
    help: 'Sinkhorn Transformer: windows and blocks that are matched by their content, in turn',
    paper: { authors: 'Tay et al.', title: 'Sparse Sinkhorn Attention', year: 2020, arxiv: '2002.11296' },
    model: { ...sizes, layers: 4, length: 512, pattern: [window(64), { mechanism: 'sinkhorn' }] },
  },
} as const satisfies Stacks;

const image = { ...sizes, length: 784, position: 'learned' } as const;

/** Decoders of images of 28 × 28 pixels, a byte each, row by row. */
export const pixels = {
  'image-transformer': {
    help: 'Image Transformer: pixels see their block of 4 × 14 and those around it; windows are images of 28 × 28 bytes',
    paper: { authors: 'Parmar et al.', title: 'Image Transformer', year: 2018, arxiv: '1802.05751' },
    model: {
      ...image,
      layers: 4,
      mechanism: {
        name: 'local-2d',
        options: { height: 28, width: 28, blockHeight: 4, blockWidth: 14, flangeHeight: 4, flangeWidth: 7 },
      },
    },
  },
  axial: {
    help: 'Axial Transformer: two outer layers tell a pixel of all rows above, two inner ones look along its row; windows are images of 28 × 28 bytes',
    paper: {
      authors: 'Ho et al.',
      title: 'Axial Attention in Multidimensional Transformers',
      year: 2019,
      arxiv: '1912.12180',
    },
    model: {
      ...image,
      layers: [
        ...times(2, named('rows-above', { width: 28 })),
        ...times(2, { mechanism: { name: 'axial', options: { width: 28, axis: 'row' } } }),
      ],
    },
  },
} as const satisfies Stacks;
