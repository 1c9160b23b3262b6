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
  spanBatches,
  splitCorpus,
  tokeniseCorpus,
  type TokenSource,
  VOCABULARY,
} from '../data/index.js';
import { LabelledBatches } from '../data/labelled/buckets.js';
import type { DeviceLike } from '../devices/index.js';
import { unpaired } from '../models/config-pooling.js';
import { readConfig, type ModelConfig } from '../models/index.js';
import { remembers } from '../models/model-config.js';
import type { Json } from '../train/checkpoint/index.js';
import type { BatchSource } from '../train/micro-batch.js';
import { lastBatches } from '../data/last-batches.js';
import { BUNDLED_TEXT } from './bundled.js';
import { openLabelled } from './labelled-parts.js';
import { planFor, rowsOf, specialTokens, type Objective } from './objective.js';
import { paddingOf } from './padding.js';
import type { TrainConfig } from './train-config.js';

/** What a run reads. */
export interface TrainData {
  readonly batches: BatchSource;
  /** Undefined where nothing is kept for it. */
  readonly validation: (BatchSource & { readonly windows: number }) | undefined;
  readonly bytesPerToken: number;
  /** What tells this text from another. */
  readonly fingerprint: Json;
  /** The texts as bytes, whatever tokens are; undefined of examples with labels. */
  readonly corpora?: { readonly train: Corpus; readonly validation: Corpus | undefined };
  /** Of all texts. */
  readonly bytes: number;
  readonly files: number;
  /** Examples with labels that are evaluated on. */
  readonly held?: number;
  /** What there is to say of it, for people. */
  readonly notes?: readonly string[];
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
  const length = objective.name === 'spans' ? planFor(objective, model).window : model.length;
  if (corpus.size < 2) throw new OptionError(`training: ${tooShort([corpus], length)}.`);
  const { train: part, validation: rest } =
    data.validation === 0 ? { train: corpus, validation: undefined } : splitCorpus(corpus, data.validation);
  const tokens = await tokenised(data.tokeniser, [part, ...(rest ? [rest] : [])], folder, onProgress);
  checkVocabulary(tokens[0]!, model, objective.name === 'spans' ? specialTokens(objective, model.length) : 0);
  if (tokens.some(({ size }) => size <= length)) throw new OptionError(`training: ${tooShort(tokens, length)}.`);
  // a model with memory reads on where it stopped
  const recurrent = remembers(model);
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
    notes: unpaired(model),
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
  const { outputs, length, vocabulary } = model;
  if (objective.name === 'spans') {
    const { share, span } = objective;
    const how = { share, span, sentinel: vocabulary - specialTokens(objective, length) };
    return {
      batches: spanBatches(windows, { ...how, seed }),
      validation: held && spanBatches(held, { ...how, fixed: true }),
    };
  }
  if (objective.name !== 'masked') {
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

/** Files of a run with what a tokeniser made of both parts of its text. */
export const TOKENS = ['train.tokens', 'validation.tokens'] as const;

async function tokenised(
  path: string | null,
  parts: readonly Corpus[],
  folder: string,
  onProgress: (what: string) => void,
): Promise<readonly TokenSource[]> {
  if (path === null) return parts;
  const tokeniser = await loadTokeniser(path);
  return parts.map((part, i) =>
    tokeniseCorpus(part, tokeniser, join(folder, TOKENS[i]!), {
      progress: (tokens, share) => onProgress(`tokenising: ${tokens} tokens, ${Math.round(100 * share)} %`),
    }),
  );
}

function checkVocabulary({ vocabulary, unit }: TokenSource, model: ModelConfig, sentinels: number): void {
  const { vocabulary: known, outputs = known - sentinels } = model;
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

/** Examples with classes, in batches of about one length; the configuration with what was found: classes, words, sizes of the model. */
export async function openExamples(
  asked: TrainConfig & { readonly objective: { readonly name: 'classify' } },
  like: DeviceLike,
): Promise<{ readonly config: TrainConfig; readonly data: TrainData }> {
  const { model: wanted, data, objective, train } = asked;
  const { texts, tokeniser, validation } = data;
  const { length } = wanted;
  const parts = await openLabelled(objective, { texts, tokeniser, validation, length });
  const { classes, words } = parts;
  const vocabulary = words.length > 0 ? words.length + 1 : tokeniser === null ? VOCABULARY : wanted.vocabulary;
  const { pool } = objective;
  const head = { ...wanted.head, classes: classes.length, ...(pool && { pool }) };
  const model = readConfig({ ...wanted, vocabulary, head });
  const { held } = parts;
  const { lengths, refused } = paddingOf(model, held ? [parts.train, held] : [parts.train], like);
  const { batch: batchSize, seed } = train;
  const count = parts.train.labels.length;
  const notes = [
    `${format(count)} examples of ${classes.length} classes, ${format(held?.labels.length ?? 0)} to evaluate on`,
    ...parts.reading,
    ...(parts.cut > 0
      ? [`${format(parts.cut)} examples are cut to the ${format(length)} tokens that the model takes`]
      : []),
    ...(lengths && lengths.length > 1 ? [`padded to lengths of ${lengths.join(', ')}`] : []),
    ...(refused === undefined ? [] : [`batches are of one length each, since nothing can be padded: ${refused}`]),
  ];
  return {
    config: { ...asked, model, objective: { ...objective, classes, words } },
    data: {
      batches: new LabelledBatches(parts.train, { batchSize, lengths, shuffled: { seed } }),
      validation: held && new LabelledBatches(held, { batchSize, lengths }),
      ...(held && { held: held.labels.length }),
      bytesPerToken: 1,
      fingerprint: parts.fingerprint,
      bytes: parts.bytes,
      files: parts.files,
      notes,
    },
  };
}

const format = (count: number): string => count.toLocaleString('en');
