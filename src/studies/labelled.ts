import { existsSync, statSync } from 'node:fs';
import { FormatError, OptionError } from '../core/errors.js';
import { loadTokeniser } from '../data/index.js';
import { joined, type Examples, type LabelledText } from '../data/labelled/examples.js';
import { readFolders } from '../data/labelled/folders.js';
import { readImages } from '../data/labelled/idx.js';
import { isTable, readTable } from '../data/labelled/table.js';
import { wordEncoder, wordsOf } from '../data/labelled/words.js';
import type { Classification } from './classification.js';

/** Examples of known classes, in tokens. */
export interface Labelled {
  readonly examples: Examples;
  readonly classes: readonly string[];
  readonly words: readonly string[];
  /** What was taken for what, for people. */
  readonly reading: readonly string[];
  /** Of what was read, and of how many files and folders. */
  readonly bytes: number;
  readonly files: number;
}

export interface ReadOptions {
  readonly tokeniser: string | null;
  readonly texts: readonly string[];
  readonly images: readonly string[];
  readonly labels: readonly string[];
  /** Where given: no others may come. */
  readonly classes?: readonly string[] | undefined;
}

/**
 * Examples of files: tables (`.tsv`, `.csv`, `.jsonl`), folders with one for each class, or images.
 *
 * @throws FormatError for what cannot be read, and classes that are not known; OptionError where nothing is named, or there is one class.
 */
export async function readLabelled(settings: Classification, options: ReadOptions): Promise<Labelled> {
  const { images, labels, texts } = options;
  if (images.length > 0) return ofImages(images, labels, options.classes);
  if (texts.length === 0) {
    throw new OptionError(
      'labels: objective classify takes files with a column of labels (.tsv, .csv, .jsonl), a folder with one for each class, or --images with --labels; name one.',
    );
  }
  const found = texts.map((path) => textsOf(path, settings));
  const all = found.flatMap((one) => one.texts);
  const classes = classesOf(
    all.map(({ label }) => label),
    options.classes,
  );
  const numbers = new Map(classes.map((name, i) => [name, i]));
  const vocabulary =
    settings.units !== 'words' || options.tokeniser !== null
      ? []
      : settings.words.length > 0
        ? settings.words
        : wordsOf(all, settings.dropped);
  const encode = await encoderOf(settings, options.tokeniser, vocabulary);
  const tokens = all.map((one) => encode(one.text));
  const empty = tokens.findIndex(({ length }) => length === 0);
  if (empty >= 0) {
    throw new FormatError(
      `labels: example ${empty + 1} of ${all.length} (class ${JSON.stringify(all[empty]!.label)}) has no tokens; remove it, or leave out fewer words.`,
    );
  }
  return {
    examples: joined(
      tokens,
      all.map(({ label }) => numbers.get(label)!),
    ),
    classes,
    words: vocabulary,
    reading: [...new Set(found.flatMap(({ reading }) => reading ?? []))],
    bytes: all.reduce((sum, one) => sum + one.text.length, 0),
    files: texts.length,
  };
}

function textsOf(
  path: string,
  { textColumn, labelColumn }: Classification,
): { readonly texts: readonly LabelledText[]; readonly reading?: string } {
  if (!existsSync(path))
    throw new FormatError(`labels: "${path}" does not exist; name a file of examples, or a folder of classes.`);
  if (statSync(path).isDirectory()) return { texts: readFolders(path) };
  if (isTable(path)) return readTable(path, { text: textColumn ?? undefined, label: labelColumn ?? undefined });
  throw new FormatError(
    `labels: "${path}" is no table (.tsv, .csv, .jsonl) and no folder of classes, so its labels are missing; name one of them.`,
  );
}

async function encoderOf(
  { dropped }: Classification,
  tokeniser: string | null,
  vocabulary: readonly string[],
): Promise<(text: Uint8Array) => Uint8Array | Int32Array> {
  if (tokeniser !== null) {
    const own = await loadTokeniser(tokeniser);
    return (bytes) => own.encode(bytes);
  }
  return vocabulary.length > 0 ? wordEncoder(vocabulary, dropped) : (bytes) => bytes;
}

function ofImages(
  images: readonly string[],
  labels: readonly string[],
  known: readonly string[] | undefined,
): Labelled {
  const all = images.map((path, i) => readImages(path, labels[i]!));
  const sizes = new Set(all.map((one) => one.starts[1]));
  if (sizes.size > 1)
    throw new FormatError(
      `labels: images of ${[...sizes].join(' and ')} pixels are not of one kind; name files that are.`,
    );
  const numbers = all.flatMap((one) => Array.from(one.labels));
  const names = Array.from({ length: numbers.reduce((most, one) => Math.max(most, one), 0) + 1 }, (_, i) => String(i));
  const classes = classesOf(known ? numbers.map(String) : names, known);
  const parts = all.flatMap((one) =>
    Array.from(one.labels, (_, i) => one.tokens.subarray(one.starts[i], one.starts[i + 1])),
  );
  const examples = joined(parts, numbers);
  return { examples, classes, words: [], reading: [], bytes: examples.tokens.length, files: 2 * images.length };
}

/** Classes in the order of their names, numbers by size. */
function classesOf(labels: readonly string[], known: readonly string[] | undefined): readonly string[] {
  const found = [...new Set(labels)];
  if (known !== undefined) {
    const strange = found.filter((name) => !known.includes(name));
    if (strange.length === 0) return known;
    throw new FormatError(
      `labels: ${strange.length === 1 ? 'class' : 'classes'} ${strange
        .slice(0, 5)
        .map((name) => JSON.stringify(name))
        .join(', ')} ` +
        `${strange.length === 1 ? 'was' : 'were'} not trained; those known are ${known.slice(0, 20).join(', ')}. Remove the examples, or train with them.`,
    );
  }
  if (found.length < 2) {
    throw new OptionError(
      `labels: all ${labels.length} examples are of class ${JSON.stringify(found[0])}; name examples of two at least, or another column.`,
    );
  }
  const numeric = found.every((name) => /^-?\d+$/.test(name));
  return found.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
}
