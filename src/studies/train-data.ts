import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { OptionError } from '../core/errors.js';
import {
  Batches,
  type Corpus,
  findTexts,
  loadTokeniser,
  maskedBatches,
  openCorpus,
  splitCorpus,
  tokeniseCorpus,
  type TokenSource,
} from '../data/index.js';
import type { ModelConfig } from '../models/index.js';
import type { Json } from '../train/checkpoint/index.js';
import type { BatchSource } from '../train/micro-batch.js';
import { lastBatches } from '../data/last-batches.js';
import { BUNDLED_TEXT } from './bundled.js';
import { rowsOf, type Objective } from './objective.js';
import type { TrainConfig } from './train-config.js';

/** What a run reads. */
export interface TrainData {
  readonly batches: BatchSource;
  /** Undefined where nothing is kept for it. */
  readonly validation: (BatchSource & { readonly windows: number }) | undefined;
  readonly bytesPerToken: number;
  /** What tells this text from another. */
  readonly fingerprint: Json;
  /** The texts as bytes, whatever tokens are. */
  readonly corpora: { readonly train: Corpus; readonly validation: Corpus | undefined };
  /** Of all texts. */
  readonly bytes: number;
  readonly files: number;
}

/** Bytes of a document that its fingerprint reads: all of a short one, blocks all over a longer one. */
const LOOKED_AT = 2 ** 25;
const BLOCK = 2 ** 16;

/**
 * The text of a configuration, split and cut into windows. Tokens that are no bytes are kept in `folder`.
 *
 * @throws FormatError for texts that cannot be read, OptionError for a text that is shorter than the windows asked for.
 */
export async function openData(
  { model, data, objective, train }: TrainConfig,
  folder: string,
  onProgress: (what: string) => void = () => undefined,
): Promise<TrainData> {
  const corpus = openCorpus(data.texts.length === 0 ? [BUNDLED_TEXT] : findTexts(data.texts));
  const { length } = model;
  if (corpus.size < 2) throw new OptionError(`training: ${tooShort([corpus], length)}.`);
  const { train: part, validation: rest } =
    data.validation === 0 ? { train: corpus, validation: undefined } : splitCorpus(corpus, data.validation);
  const tokens = await tokenised(data.tokeniser, [part, ...(rest ? [rest] : [])], folder, onProgress);
  checkVocabulary(tokens[0]!, model);
  if (tokens.some(({ size }) => size <= length)) throw new OptionError(`training: ${tooShort(tokens, length)}.`);
  // a model with memory reads on where it stopped
  const recurrent = model.kind === 'transformer-xl' || model.kind === 'compressive-transformer';
  const { documents } = data;
  const [source, held] = tokens;
  const { batch: batchSize, seed } = train;
  const order = recurrent ? 'streams' : 'shuffled';
  const windows = new Batches(source!, { batchSize, length, seed, order, documents });
  const own = held && validationOf(held, Math.min(batchSize, train.evaluateWindows), length, recurrent);
  return {
    ...asked(objective, model, windows, own, seed),
    bytesPerToken: source!.bytesPerToken,
    fingerprint: { split: [part.size, rest?.size ?? 0], texts: fingerprintOf(corpus) },
    corpora: { train: part, validation: rest },
    bytes: corpus.size,
    files: corpus.documents.length,
  };
}

/** What of the windows is predicted. */
function asked(
  objective: Objective,
  model: ModelConfig,
  windows: Batches,
  held: Batches | undefined,
  seed: number,
): Pick<TrainData, 'batches' | 'validation'> {
  const { outputs, length } = model;
  if (objective.name === 'next') {
    const rows = rowsOf(model);
    if (rows === length) return { batches: windows, validation: held };
    return { batches: lastBatches(windows, rows), validation: held && lastBatches(held, rows) };
  }
  const { name: _, ...masking } = objective;
  return {
    batches: maskedBatches(windows, { ...masking, outputs: outputs!, seed }),
    // what is hidden is the mask token always: the rest would be easy, or wrong
    validation: held && maskedBatches(held, { ...masking, random: 0, kept: 0, outputs: outputs!, fixed: true }),
  };
}

function validationOf(source: TokenSource, most: number, length: number, recurrent: boolean): Batches {
  const windows = Math.floor((source.size - 1) / length);
  return new Batches(source, {
    batchSize: Math.min(most, windows),
    length,
    order: recurrent ? 'streams' : 'sequential',
  });
}

async function tokenised(
  path: string | null,
  parts: readonly Corpus[],
  folder: string,
  onProgress: (what: string) => void,
): Promise<readonly TokenSource[]> {
  if (path === null) return parts;
  const tokeniser = await loadTokeniser(path);
  return parts.map((part, i) =>
    tokeniseCorpus(part, tokeniser, join(folder, i === 0 ? 'train.tokens' : 'validation.tokens'), {
      progress: (tokens, share) => onProgress(`tokenising: ${tokens} tokens, ${Math.round(100 * share)} %`),
    }),
  );
}

function checkVocabulary({ vocabulary, unit }: TokenSource, model: ModelConfig): void {
  const { vocabulary: known, outputs = known } = model;
  if (vocabulary <= outputs) return;
  throw new OptionError(
    `training: the text has ${vocabulary} different ${unit}s, the model ${known === outputs ? 'knows' : 'predicts'} ${outputs}; ` +
      `set model.vocabulary to ${vocabulary + known - outputs}.`,
  );
}

function tooShort(parts: readonly Pick<TokenSource, 'size' | 'unit'>[], length: number): string {
  const unit = parts[0]!.unit;
  const sizes = parts.map(({ size }) => size);
  const longest = Math.min(...sizes) - 1;
  const [of, kept] = sizes;
  const what =
    kept === undefined
      ? `the text has ${of} ${unit}s`
      : `the text has ${of! + kept} ${unit}s, ${of} to train on and ${kept} for validation`;
  const remedy = longest > 0 ? `, or take a length of at most ${longest}` : '';
  return `a window of length ${length} takes ${length + 1} ${unit}s; ${what}: give more text${remedy}`;
}

/** Of each document its size and a SHA-256, whatever its name. */
function fingerprintOf(corpus: Corpus): Json {
  return corpus.documents.map(({ start, length }) => {
    const hash = createHash('sha256');
    const blocks = Math.ceil(length / BLOCK);
    const looked = Math.min(blocks, LOOKED_AT / BLOCK);
    const block = new Uint8Array(BLOCK);
    for (let i = 0; i < looked; i++) {
      const at = Math.floor((i * blocks) / looked) * BLOCK;
      const bytes = block.subarray(0, Math.min(BLOCK, length - at));
      corpus.read(start + at, bytes);
      hash.update(bytes);
    }
    return { bytes: length, sha256: hash.digest('hex') };
  });
}
