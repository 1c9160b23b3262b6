import { copyFileSync, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkExportFolder, exportPretrained } from '../../pretrained/export.js';
import { loadPretrained, type LoadPretrainedOptions } from '../../pretrained/load.js';
import type { Pretrained } from '../../pretrained/loaded.js';
import { isPublished } from '../../pretrained/open.js';
import { loadModel } from '../../train/model-file.js';
import * as format from '../../report/format.js';
import { printable, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import type { Command } from '../command.js';
import { deviceOption, jsonOption, noPositionals, threadsOption, withDevice } from '../common-options.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { notesToShow, publishedOptions } from '../published.js';
import { Progress } from '../progress.js';

const WHO = 'subquad export';

const options = {
  out: { takes: 'text', value: 'FOLDER', help: 'a new folder, for config.json, model.safetensors and the tokenizer' },
  dtype: {
    takes: 'choice',
    choices: ['f32', 'f16', 'bf16'],
    help: 'how weights are stored; default as in the file that they came from',
  },
  ...publishedOptions,
  device: deviceOption,
  threads: threadsOption,
  json: { ...jsonOption, help: 'write what was written to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} MODEL --out FOLDER [options]`,
  about:
    "A model as a folder that Python's transformers loads: AutoModel.from_pretrained(FOLDER). MODEL is a folder in Hugging Face layout, or a\n" +
    'run that began with one (train --from). Names, layouts and config.json are the published ones; weights that were not trained come back bit by bit.',
  options,
  examples: [
    [`${WHO} models/gpt2 --out mine`, 'one file under the published names'],
    [`${WHO} models/gpt2 --out half --dtype bf16`, 'half as large'],
    [`${WHO} subquad-run --out mine`, 'what was trained from a published model'],
  ],
};

/** What is copied as it is, where it is there. */
const beside = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
  'spiece.model',
  'sentencepiece.bpe.model',
  'tokenizer.model',
  'generation_config.json',
  'preprocessor_config.json',
];

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const [name] = positionals;
  noPositionals(WHO, positionals, 1);
  if (name === undefined || values.out === undefined) {
    throw new UsageError(`${WHO}: takes a model and --out FOLDER, such as ${WHO} models/gpt2 --out mine.`);
  }
  const [from, out] = [resolve(io.cwd, name), resolve(io.cwd, values.out)];
  checkExportFolder(out);
  const json = jsonOutput(WHO, values.json, io);
  const progress = new Progress(io);
  const found = await withDevice(WHO, values, async (device) => {
    progress.show('loading the model');
    const loaded = await loadedOf(from, {
      device,
      ...(values.as && { as: values.as }),
      ignoreFields: values['ignore-field'],
      tokenizer: false,
    });
    try {
      await exportPretrained(out, loaded, { ...(values.dtype && { dtype: values.dtype as 'f32' }) });
      const copied = beside.filter((file) => existsSync(join(loaded.origin, file)));
      for (const file of copied) copyFileSync(join(loaded.origin, file), join(out, file));
      const { cls, notes } = loaded;
      return { folder: out, className: cls.name, bytes: statSync(join(out, 'model.safetensors')).size, copied, notes };
    } finally {
      loaded.model.dispose();
    }
  }).finally(() => progress.clear());
  if (json?.standard !== true) {
    const style = styleFor(io, io.outTerminal);
    for (const note of notesToShow(found.notes)) io.out(`${style.dim(printable(note))}\n`);
    const rest = found.copied.length > 0 ? `, beside ${found.copied.join(', ')}` : '';
    io.out(`wrote ${style.accent(printable(out))}: ${found.className}, ${format.bytes(found.bytes)}${rest}\n`);
  }
  json?.write(found);
  return 0;
}

/** A published model; or one that was trained from such a one (`train --from`), in its place. */
async function loadedOf(
  path: string,
  options: LoadPretrainedOptions,
): Promise<Pretrained & { readonly origin: string }> {
  if (isPublished(path)) return { ...(await loadPretrained(path, options)), origin: path };
  const { model, config, json } = await loadModel(path, { device: options.device });
  try {
    const origin = (json['train'] as { readonly from?: unknown } | undefined)?.from;
    if (typeof origin !== 'string' || !isPublished(origin)) {
      throw new UsageError(
        `${WHO}: "${path}" is no published model, and was not trained from one that is still there; what its config.json would be is not known.`,
      );
    }
    const { model: first, ...rest } = await loadPretrained(origin, options);
    first.dispose();
    return { ...rest, model, config, origin };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

export const exportCommand: Command = { summary: "a model as a folder that Python's transformers loads", help, run };
