import { alibi, t5Bias } from '../scores/index.js';
import { learnedPositions } from './learned.js';
import { rope } from './rope.js';
import { sinusoidal } from './sinusoidal.js';
import { relativeAttend } from './transformer-xl.js';

/**
 * What a position method changes: the embeddings (add its rows once, before the first layer), queries and keys (turn both in
 * every layer), the scores (pass it to `attend` as `score`), or the attention as a whole.
 */
export type PositionChange = 'embedding' | 'rotate' | 'score' | 'attention';

/** An entry of `positionMethods`. */
export interface PositionMethod {
  readonly summary: string;
  readonly paper: { readonly authors: string; readonly title: string; readonly year: number; readonly arxiv: string };
  readonly changes: PositionChange;
  /** Whether it learns tensors, and which. */
  readonly learns: readonly string[];
  /** Whether positions past those trained on are defined. */
  readonly anyLength: boolean;
  /** What the function takes beside its tensors. */
  readonly options: Readonly<Record<string, string>>;
}

/**
 * The position methods by name, each with the function that computes it.
 *
 * @example
 * positionMethods.alibi.changes; // "score"
 */
export const positionMethods = {
  sinusoidal: {
    summary: 'adds sines and cosines of the position',
    paper: { authors: 'Vaswani et al.', title: 'Attention Is All You Need', year: 2017, arxiv: '1706.03762' },
    changes: 'embedding',
    learns: [],
    anyLength: true,
    options: {
      variant: 'order and spacing: paper, transformer-xl or tensor2tensor; default paper',
      base: 'longest wavelength over 2π; default 10000',
      offset: 'position of the first row; default 0',
    },
    apply: sinusoidal,
  },
  learned: {
    summary: 'adds a learned row for each position',
    paper: { authors: 'Devlin et al.', title: 'BERT', year: 2018, arxiv: '1810.04805' },
    changes: 'embedding',
    learns: ['table [P, D]'],
    anyLength: false,
    options: { offset: 'row that position 0 reads: 2 in RoBERTa and Longformer; default 0' },
    apply: learnedPositions,
  },
  rope: {
    summary: 'turns pairs of components of queries and keys by angles that grow with the position',
    paper: { authors: 'Su et al.', title: 'RoFormer', year: 2021, arxiv: '2104.09864' },
    changes: 'rotate',
    learns: [],
    anyLength: true,
    options: {
      offset: 'position of the first row; default 0',
      positions: 'the position of every row instead',
      layout: 'which components are pairs: half (GPT-NeoX, Llama) or interleaved (GPT-J); default half',
      base: 'longest wavelength over 2π; default 10000',
      rotaryDim: 'components that turn; default all',
      scaling: 'for lengths beyond training: linear, ntk, dynamic, yarn, llama3 or longrope; default none',
    },
    apply: rope,
  },
  alibi: {
    summary: 'takes slope · distance from the scores, one slope per head',
    paper: {
      authors: 'Press, Smith, Lewis',
      title: 'Train Short, Test Long',
      year: 2021,
      arxiv: '2108.12409',
    },
    changes: 'score',
    learns: [],
    anyLength: true,
    options: { slopes: 'one number per head; default the official ones' },
    apply: alibi,
  },
  t5: {
    summary: 'adds a learned number for each range of distances and head to the scores',
    paper: { authors: 'Raffel et al.', title: 'T5', year: 2019, arxiv: '1910.10683' },
    changes: 'score',
    learns: ['table [buckets, H]'],
    anyLength: true,
    options: {
      buckets: 'rows of the table; default 32',
      maxDistance: 'distances from here on share the last bucket; default 128',
      bidirectional: 'half of the buckets for keys after the query; default true',
    },
    apply: t5Bias,
  },
  'transformer-xl': {
    summary: 'adds the product of the query with a projected embedding of the distance, and two learned biases',
    paper: { authors: 'Dai et al.', title: 'Transformer-XL', year: 2019, arxiv: '1901.02860' },
    changes: 'attention',
    learns: ['weight [H·D, M]', 'contentBias [H, D]', 'positionBias [H, D]'],
    anyLength: true,
    options: {
      clamp: 'distances from here on count as this one; default none',
      base: 'longest wavelength over 2π; default 10000',
      method: 'table, or rotated without memory that grows with n²; default table',
    },
    apply: relativeAttend,
  },
} as const satisfies Readonly<Record<string, PositionMethod & { readonly apply: unknown }>>;

export type PositionName = keyof typeof positionMethods;
