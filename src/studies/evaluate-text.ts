import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OptionError } from '../core/errors.js';
import { temporaries } from '../core/files/temporaries.js';
import {
  type Corpus,
  findTexts,
  loadTokeniser,
  openCorpus,
  splitCorpus,
  tokeniseCorpus,
  type TokenSource,
} from '../data/index.js';
import type { Json } from '../train/checkpoint/index.js';
import { BUNDLED_TEXT } from './bundled.js';
import type { DataSettings } from './train-config.js';
import { dataOf, tokeniserOf } from './tokeniser-of.js';
import { trainedOn } from './trained-on.js';

/** What a model is evaluated on. */
export interface EvaluationText {
  /** Bytes, or the tokens of the model's tokeniser. */
  readonly source: TokenSource;
  readonly bytes: Corpus;
  /** What the model was trained on, where that is known and still there. */
  readonly training: Corpus | undefined;
  /** Whether it is what training kept for validation. */
  readonly heldOut: boolean;
  /** Removes the tokens' file. */
  readonly close: () => void;
}

/**
 * Files, or the validation part of the text that a model was trained on, in the tokens of the model.
 *
 * @throws OptionError where no files are named and the model says nothing of a text; FormatError for files that cannot be read.
 */
export async function openEvaluationText(
  json: Readonly<Record<string, Json>>,
  files: readonly string[],
  cwd: string,
): Promise<EvaluationText> {
  const data = dataOf(json);
  const named = files.length > 0 ? openCorpus(findTexts(files.map((file) => resolve(cwd, file)))) : undefined;
  const own = novelParts(json) ?? parts(data, cwd, named !== undefined);
  const bytes = named ?? own?.validation;
  if (bytes === undefined) {
    const why =
      data === undefined ? 'the model does not say what text it was trained on' : 'nothing was kept for validation';
    throw new OptionError(`evaluate: ${why}; name a text file.`);
  }
  const known = { bytes, training: own?.train, heldOut: named === undefined };
  const path = tokeniserOf(json, cwd);
  if (path === null) return { ...known, source: bytes, close: () => undefined };
  const tokeniser = await loadTokeniser(path);
  const folder = join(tmpdir(), `subquad-tokens-${randomBytes(6).toString('hex')}`);
  const forget = temporaries().hold(folder, () => mkdirSync(folder, { mode: 0o700 }));
  const close = (): void => {
    rmSync(folder, { recursive: true, force: true });
    forget();
  };
  try {
    return { ...known, source: tokeniseCorpus(bytes, tokeniser, join(folder, 'tokens')), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Both parts of the bundled novel, of a model that was trained on more and keeps the end of this for validation. */
function novelParts(
  json: Readonly<Record<string, Json>>,
): { readonly train: Corpus; readonly validation: Corpus } | undefined {
  const { keptOfNovel } = trainedOn(json);
  if (keptOfNovel === undefined) return undefined;
  const novel = openCorpus([BUNDLED_TEXT]);
  const cut = novel.size - keptOfNovel;
  return { train: novel.slice(0, cut), validation: novel.slice(cut, novel.size) };
}

/** Both parts of the text of a run. @throws FormatError where it is gone, unless that is `dispensable`. */
function parts(
  data: DataSettings | undefined,
  cwd: string,
  dispensable: boolean,
): { readonly train: Corpus; readonly validation: Corpus | undefined } | undefined {
  if (data === undefined) return undefined;
  try {
    const texts = data.texts.length === 0 ? [BUNDLED_TEXT] : findTexts(data.texts.map((text) => resolve(cwd, text)));
    const corpus = openCorpus(texts);
    return data.validation === 0 ? { train: corpus, validation: undefined } : splitCorpus(corpus, data.validation);
  } catch (error) {
    if (dispensable) return undefined;
    throw error;
  }
}
