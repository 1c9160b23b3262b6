import { flag, listOfTexts, oneOf, text, type Requirements } from '../core/requirements.js';
import { pools, type Pool } from '../models/index.js';

/** How texts or images get classes. */
export interface Classification {
  /** What of a text its class is read from; null: by the kind of the model. */
  readonly pool: Pool | null;
  /** Which evaluation is the best one. */
  readonly best: 'accuracy' | 'loss';
  /** What a token is where no tokeniser is named. */
  readonly units: 'bytes' | 'words';
  /** Words that are left out. */
  readonly dropped: readonly string[];
  /** Of tables: names, or numbers from 1; null: by their usual names. */
  readonly textColumn: string | null;
  readonly labelColumn: string | null;
  /** Whether what is longer than the model takes is cut. */
  readonly truncate: boolean;
  /** IDX files, the labels of each beside it. */
  readonly images: readonly string[];
  readonly labels: readonly string[];
  /** What is evaluated on, in place of a share of the examples. */
  readonly held: readonly string[];
  readonly heldImages: readonly string[];
  readonly heldLabels: readonly string[];
  /** By the number of each; none until the examples were read. */
  readonly classes: readonly string[];
  /** The words that have tokens: that of number i is token i + 1; 0 stands for others. */
  readonly words: readonly string[];
}

export const CLASSIFICATION: Classification = {
  pool: null,
  best: 'accuracy',
  units: 'bytes',
  dropped: [],
  textColumn: null,
  labelColumn: null,
  truncate: false,
  images: [],
  labels: [],
  held: [],
  heldImages: [],
  heldLabels: [],
  classes: [],
  words: [],
};

const paths = { ...listOfTexts, must: 'a list of paths' };
const words = { ...listOfTexts, must: 'a list of words' };
export const classification: Requirements = {
  pool: oneOf(pools),
  best: oneOf(['accuracy', 'loss']),
  units: oneOf(['bytes', 'words']),
  dropped: words,
  textColumn: text,
  labelColumn: text,
  truncate: flag,
  images: paths,
  labels: paths,
  held: paths,
  heldImages: paths,
  heldLabels: paths,
  classes: words,
  words,
};

/** What a classification contradicts itself in. */
export const faultsOfClassification = ({
  images,
  labels,
  held,
  heldImages,
  heldLabels,
  units,
  dropped,
}: Classification): string[] =>
  [
    images.length !== labels.length &&
      `each file of images takes one of labels; got ${images.length} and ${labels.length}`,
    heldImages.length !== heldLabels.length &&
      `each file of images to evaluate on takes one of labels; got ${heldImages.length} and ${heldLabels.length}`,
    images.length > 0 &&
      (held.length > 0 || units === 'words') &&
      'images are evaluated on images, and their tokens are bytes',
    images.length === 0 && heldImages.length > 0 && 'images to evaluate on are for images to train on',
    dropped.length > 0 && units !== 'words' && 'words are left out where tokens are words: take units "words"',
  ].filter((fault) => fault !== false);
