import { OptionError } from '../core/errors.js';
import { checkValue, type Requirement } from '../core/requirements.js';
import { someCorpus, type Corpus } from './corpus.js';

/** How far, in bytes, the end of a line may lie from the exact share. */
const LINE = 4096;
/** How far the end of a document may lie: this part of the smaller side. */
const DOCUMENT = 0.1;

export interface Split {
  readonly train: Corpus;
  readonly validation: Corpus;
  /** What lies at the cut. */
  readonly boundary: 'document' | 'line' | 'character';
}

/**
 * Divides a corpus in two: the last `share` of its bytes, from 0 to 1 exclusive, is the validation part. The cut moves to the nearest
 * end of a document within a tenth of the smaller part, else to the nearest end of a line within 4096 bytes (and that tenth), else to
 * the next character.
 *
 * @throws OptionError for a share out of range, or one that leaves nothing to either part.
 */
export function splitCorpus(corpus: Corpus, share: number): Split {
  checkValue('splitCorpus', 'corpus', corpus, someCorpus);
  checkValue('splitCorpus', 'share', share, aShare);
  const exact = Math.round(corpus.size * (1 - share));
  if (exact === 0 || exact === corpus.size) {
    throw new OptionError(
      `splitCorpus: a share of ${share} of ${corpus.size} bytes leaves a part empty; give more text, or another share.`,
    );
  }
  const reach = Math.floor(Math.min(exact, corpus.size - exact) * DOCUMENT);
  const document = nearestTo(
    exact,
    corpus.documents.slice(1).map(({ start }) => start),
    reach,
  );
  const line = document ?? nearestTo(exact, linesAround(corpus, exact, Math.min(reach, LINE)), reach);
  const cut = line ?? nextCharacter(corpus, exact);
  return {
    train: corpus.slice(0, cut),
    validation: corpus.slice(cut, corpus.size),
    boundary: document !== undefined ? 'document' : line !== undefined ? 'line' : 'character',
  };
}

const aShare: Requirement = {
  must: 'between 0 and 1, both exclusive',
  holds: (value) => typeof value === 'number' && value > 0 && value < 1,
};

/** The earlier of two that are equally near. */
function nearestTo(exact: number, candidates: readonly number[], reach: number): number | undefined {
  let best: number | undefined;
  for (const candidate of candidates) {
    const distance = Math.abs(candidate - exact);
    if (distance <= reach && (best === undefined || distance < Math.abs(best - exact))) best = candidate;
  }
  return best;
}

/** Places just after a line feed, at most `reach` away. */
function linesAround(corpus: Corpus, exact: number, reach: number): number[] {
  const from = exact - reach - 1;
  const bytes = new Uint8Array(2 * reach + 1);
  corpus.read(from, bytes);
  return [...bytes.keys()].filter((i) => bytes[i] === 0x0a).map((i) => from + i + 1);
}

/** UTF-8 continues a character with at most three bytes `10xxxxxx`. */
function nextCharacter(corpus: Corpus, exact: number): number {
  const bytes = new Uint8Array(Math.min(4, corpus.size - exact));
  corpus.read(exact, bytes);
  const first = bytes.findIndex((byte) => (byte & 0xc0) !== 0x80);
  return exact + Math.max(first, 0);
}
