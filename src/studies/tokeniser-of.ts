import { resolve } from 'node:path';
import { OptionError } from '../core/errors.js';
import type { Json } from '../train/checkpoint/index.js';
import { readTrainConfig, type DataSettings } from './train-config.js';

/**
 * The `tokenizer.json` of a model: of the section `data` of a run's JSON, or beside a published model; null: a token is a byte.
 *
 * @throws OptionError for a published model without one: what its tokens are is not known.
 */
export function tokeniserOf(json: Readonly<Record<string, Json>>, cwd: string): string | null {
  const data = dataOf(json);
  if (data !== undefined) return data.tokeniser === null ? null : resolve(cwd, data.tokeniser);
  const { tokeniser, published } = json;
  if (typeof tokeniser === 'string') return resolve(cwd, tokeniser);
  if (published === undefined) return null;
  throw new OptionError(
    'model: it has no tokenizer.json, so what its tokens are is not known; download it beside config.json.',
  );
}

/** The section `data` of a run's configuration, which may stand beside an exported model too. */
export function dataOf(json: Readonly<Record<string, Json>>): DataSettings | undefined {
  const { data } = json;
  return data === undefined ? undefined : readTrainConfig({ data }).data;
}
