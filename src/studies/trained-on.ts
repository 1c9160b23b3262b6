import { basename } from 'node:path';
import type { Json } from '../train/checkpoint/index.js';
import { BUNDLED_TEXT } from './bundled.js';

/** What the JSON beside a model says about the text it was trained on. */
export interface TrainedOn {
  /** Names of files and folders; undefined where the checkpoint has none. */
  readonly texts: readonly string[] | undefined;
  /** The share of the text that was kept for validation. */
  readonly validation: number | undefined;
  /** The best on it, of a model of the next token. */
  readonly bitsPerByte: number | undefined;
  /** Bytes at the end of the bundled novel that were kept, where that was all that was kept. */
  readonly keptOfNovel: number | undefined;
}

/** Reads what is there, of a run's `config.json` or of what was exported; anything else is not known. */
export function trainedOn(json: Readonly<Record<string, Json>>): TrainedOn {
  const data = objectOf(json['data']);
  const { texts, validation, tokeniser } = data ?? {};
  const loss = objectOf(json['best'])?.['loss'];
  const kept = json['keptOfNovel'];
  const ofNext = (objectOf(json['objective'])?.['name'] ?? 'next') === 'next';
  const named = Array.isArray(texts) ? texts.filter((one) => typeof one === 'string') : undefined;
  return {
    // no texts stand for the bundled one
    texts: named?.length === 0 ? [basename(BUNDLED_TEXT)] : named?.map((one) => basename(one)),
    validation: typeof validation === 'number' ? validation : undefined,
    // a token of a tokeniser is no byte
    bitsPerByte: typeof loss === 'number' && data !== undefined && !tokeniser && ofNext ? loss / Math.LN2 : undefined,
    keptOfNovel: typeof kept === 'number' ? kept : undefined,
  };
}

/** The names of a few texts, or how many they are. */
export function textNames(texts: readonly string[]): string {
  return texts.length <= 3 ? texts.join(', ') : `${texts.length} texts`;
}

function objectOf(value: Json | undefined): Readonly<Record<string, Json>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : undefined;
}
