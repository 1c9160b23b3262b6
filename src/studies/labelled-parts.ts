import { createHash } from 'node:crypto';
import { OptionError } from '../core/errors.js';
import { permutation } from '../data/index.js';
import { joined, longestOf, pick, type Examples } from '../data/labelled/examples.js';
import type { Json } from '../train/checkpoint/index.js';
import type { Classification } from './classification.js';
import { readLabelled, type Labelled } from './labelled.js';

/** Examples to train and to evaluate on. */
export interface Parts extends Omit<Labelled, 'examples'> {
  readonly train: Examples;
  readonly held: Examples | undefined;
  readonly fingerprint: Json;
  /** Examples that were cut. */
  readonly cut: number;
}

export interface PartsOptions {
  readonly texts: readonly string[];
  readonly tokeniser: string | null;
  /** Share that is evaluated on, where nothing else is. */
  readonly validation: number;
  /** Tokens that the model takes. */
  readonly length: number;
}

/**
 * What a model is trained and evaluated on: examples apart, or a share of them, drawn once for all.
 *
 * @throws as `readLabelled`; OptionError for examples longer than the model takes, unless they may be cut.
 */
export async function openLabelled(settings: Classification, options: PartsOptions): Promise<Parts> {
  const { texts, tokeniser, validation, length } = options;
  const { images, labels, held, heldImages, heldLabels, truncate } = settings;
  const known = settings.classes.length > 0 ? settings.classes : undefined;
  const all = await readLabelled(settings, { texts, tokeniser, images, labels, classes: known });
  const apart =
    held.length + heldImages.length > 0
      ? await readLabelled(
          { ...settings, words: all.words },
          { texts: held, tokeniser, images: heldImages, labels: heldLabels, classes: all.classes },
        )
      : undefined;
  const count = all.examples.labels.length;
  const kept = apart ? 0 : Math.round(validation * count);
  const order = permutation(0, 'data.labels.split', count);
  const places = Array.from({ length: count }, (_, i) => order(i));
  const drawn = (from: number, to: number): Examples =>
    pick(
      all.examples,
      places.slice(from, to).sort((a, b) => a - b),
    );
  const parts = kept === 0 ? [all.examples, apart?.examples] : [drawn(kept, count), drawn(0, kept)];
  const longer = tooLong(
    parts.filter((one) => one !== undefined),
    length,
    truncate,
  );
  const [train, own] = parts.map((one) => one && cutTo(one, length));
  return {
    train: train!,
    held: own,
    classes: all.classes,
    words: all.words,
    reading: [...new Set([...all.reading, ...(apart?.reading ?? [])])],
    bytes: all.bytes + (apart?.bytes ?? 0),
    files: all.files + (apart?.files ?? 0),
    fingerprint: { train: fingerprintOf(parts[0]!), held: parts[1] ? fingerprintOf(parts[1]) : null },
    cut: longer,
  };
}

/**
 * How many examples have more tokens than `length`.
 *
 * @throws OptionError where there are any, unless they may be cut.
 */
export function tooLong(parts: readonly Examples[], length: number, truncate: boolean): number {
  const found = parts.map((one) => longestOf(one, length));
  const longer = found.reduce((sum, one) => sum + one.longer, 0);
  if (longer === 0 || truncate) return longer;
  const longest = Math.max(...found.map((one) => one.longest));
  const all = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  throw new OptionError(
    `labels: ${longer} of ${all} examples have more tokens than the ${length} that the model takes, the longest ${longest}; ` +
      `train with --length ${longest}, or with --truncate, which cuts them.`,
  );
}

/** Examples whose tokens behind `length` are gone. */
export function cutTo(examples: Examples, length: number): Examples {
  if (longestOf(examples, length).longer === 0) return examples;
  const { tokens, starts, labels } = examples;
  return joined(
    Array.from(labels, (_, i) => tokens.subarray(starts[i], Math.min(starts[i + 1]!, starts[i]! + length))),
    Array.from(labels),
  );
}

function fingerprintOf({ tokens, starts, labels }: Examples): Json {
  const hash = createHash('sha256');
  for (const part of [tokens, starts, labels])
    hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return { examples: labels.length, sha256: hash.digest('hex') };
}
