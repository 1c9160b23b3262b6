import type { FloatDtype } from '../../core/dtype.js';
import { OptionError } from '../../core/errors.js';
import { continued } from '../../pretrained/continue.js';
import { loadPretrained } from '../../pretrained/load.js';
import type { Pretrained } from '../../pretrained/loaded.js';
import { classify, embed, fillMask } from '../../pretrained/tasks.js';
import { boundOf } from '../../pretrained/task-windows.js';
import { specialToken, tokenizerOf } from '../../pretrained/tokenizer.js';
import type { Tokeniser } from '../../data/index.js';
import { printable, type Style, styleFor } from '../ansi.js';
import { parseOptions, type Values } from '../arguments.js';
import type { Command } from '../command.js';
import { deviceOption, dtypeOption, jsonOption, seedOption, threadsOption, withDevice } from '../common-options.js';
import type { HelpText } from '../help.js';
import { FailureError, type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { downloading, modelSource, publishedOptions } from '../published.js';
import { Progress } from '../progress.js';
import { readText } from '../text-file.js';

const WHO = 'subquad run';
const tasks = ['fill-mask', 'classify', 'summarise', 'embed', 'generate'] as const;
type TaskName = (typeof tasks)[number];

const options = {
  task: { takes: 'choice', choices: tasks, help: 'what to do; default what the class of the model is for' },
  file: { takes: 'texts', value: 'FILE', default: [], help: 'a text of its own; - is the standard input' },
  lines: { takes: 'nothing', help: 'every line of a file is a text' },
  window: {
    takes: 'integer',
    value: 'N',
    range: [3, 2 ** 24],
    help: 'read longer texts in windows of N tokens; default: a text is read whole, or refused',
  },
  stride: {
    takes: 'integer',
    value: 'N',
    range: [1, 2 ** 24],
    help: 'tokens from one window to the next; default half a window',
  },
  top: {
    takes: 'integer',
    value: 'N',
    range: [1, 1000],
    help: 'tokens or classes that are printed; default 5, or all classes',
  },
  pool: {
    takes: 'choice',
    choices: ['mean', 'first', 'last'],
    default: 'mean',
    help: 'of embed: which rows are taken',
  },
  tokens: { takes: 'integer', value: 'N', range: [1, 2 ** 24], default: 64, help: 'that are generated at most' },
  temperature: { takes: 'number', value: 'T', range: [0, 100], default: 0, help: '0 takes the likeliest token' },
  'top-k': { takes: 'integer', value: 'N', range: [1, 2 ** 24], help: 'draw from the N likeliest' },
  'top-p': { takes: 'number', value: 'P', range: [1e-6, 1], help: 'draw from the likeliest that have P together' },
  ...publishedOptions,
  dtype: dtypeOption,
  device: deviceOption,
  threads: threadsOption,
  seed: seedOption,
  json: { ...jsonOption, help: 'write the results to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} MODEL [texts…] [options]`,
  about:
    'A published model on texts: tokens for what is masked, classes, a summary, vectors, or how a text goes on, as it is generated. MODEL is\n' +
    'a folder in Hugging Face layout. Without texts and files the standard input is read. A text that is longer than the positions that a\n' +
    'model learned is refused, unless windows are asked for; nothing is cut off silently.',
  options,
  examples: [
    [`${WHO} models/bert --task fill-mask "The capital of France is [MASK]."`, 'the likeliest tokens'],
    [`${WHO} models/longformer --task embed --file book.txt --json vectors.json`, 'one vector for a long text'],
    [`${WHO} models/reviews --task classify --file reviews.txt --lines`, 'a class for each line'],
    [
      `${WHO} models/roberta --task classify --file long.txt --window 512 --stride 256`,
      'the mean of overlapping windows',
    ],
    [`cat article.txt | ${WHO} models/led --task summarise --tokens 200`, 'from the standard input'],
    [`${WHO} models/gpt2 --task generate "Once upon a time" --tokens 100 --temperature 0.8`, 'as it is generated'],
  ],
};

/** Bytes of a text, longer than any. */
const LONGEST = 2 ** 30;

interface Text {
  readonly name: string;
  readonly text: string;
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const [path, ...words] = positionals;
  if (path === undefined) throw new UsageError(`${WHO}: name a model, a folder in Hugging Face layout.`);
  if (values.stride !== undefined && values.window === undefined) {
    throw new UsageError(`${WHO}: --stride is of windows; give --window too, or leave it out.`);
  }
  const json = jsonOutput(WHO, values.json, io);
  const say = json?.standard === true ? () => undefined : (text: string) => io.data(text);
  const style = styleFor(io, io.outTerminal);
  const progress = new Progress(io);
  return withDevice(WHO, values, async (device) => {
    progress.show('loading the model');
    const from = modelSource(path, io);
    const loading = {
      device,
      onProgress: downloading(progress),
      ...(values.as && { as: values.as }),
      ...(values.dtype && { dtype: values.dtype as FloatDtype }),
      ignoreFields: values['ignore-field'],
      tokenizer: false,
    };
    const plain = await loadPretrained(from, loading);
    try {
      const tokenizer = await tokenizerOf(plain.source);
      const loaded: Pretrained = { ...plain, tokenizer };
      progress.clear();
      const task = taskOf(values.task as TaskName | undefined, loaded);
      refuseUnused(values, task);
      const texts = textsOf(words, values, io);
      const stopping = (): boolean => io.interruption?.asked() ?? false;
      io.interruption?.listen(true);
      const results: object[] = [];
      for (const { name, text } of texts) {
        if (stopping()) break;
        const asked: Asked = {
          name,
          text,
          many: texts.length > 1,
          loaded,
          tokenizer,
          values,
          style,
          say,
          stopping,
        };
        results.push(await named(name, () => doing[task](asked)));
      }
      json?.write(results.length === 1 ? results[0] : results);
      return stopping() ? 130 : 0;
    } finally {
      io.interruption?.listen(false);
      progress.clear();
      plain.model.dispose();
    }
  });
}

/** What is wrong with a text says which it is. */
async function named<T>(name: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new OptionError(`${WHO}: ${name}: ${error.message.replace(/^(generate|classify|task): /, '')}`, {
      cause: error,
    });
  }
}

interface Asked extends Text {
  readonly many: boolean;
  readonly loaded: Pretrained;
  readonly tokenizer: Tokeniser;
  readonly values: Values<typeof options>;
  readonly style: Style;
  readonly say: (text: string) => void;
  readonly stopping: () => boolean;
}

const windows = ({ window, stride }: Values<typeof options>) =>
  window === undefined ? undefined : { size: window, stride: stride ?? Math.max(1, Math.floor((window - 2) / 2)) };

const marked = ({ tokenizer, text }: Asked): Int32Array => tokenizer.marked?.(text).ids ?? tokenizer.encode(text);
const heading = ({ many, name, style }: Asked): string => (many ? `${style.bold(printable(name))}\n` : '');
const percent = (x: number): string => `${(100 * x).toFixed(2)} %`.padStart(9);

const doing: Readonly<Record<TaskName, (asked: Asked) => Promise<object>>> = {
  async 'fill-mask'(asked) {
    const { loaded, tokenizer, text, values, say, name } = asked;
    const mask = await specialToken(loaded.source, tokenizer, 'mask');
    if (mask === undefined) throw new OptionError('the tokenizer has no mask token; take another task.');
    const ids = marked(asked);
    if (!ids.includes(mask.id)) {
      throw new OptionError(`nothing is masked: write ${mask.text} where a token is to be found.`);
    }
    const masks = await fillMask(loaded, { ids, mask: mask.id, windows: windows(values), top: values.top });
    say(heading(asked));
    masks.forEach(({ likely }, i) => {
      if (masks.length > 1) say(`${mask.text} ${i + 1}\n`);
      for (const { token, probability } of likely) say(`${percent(probability)}  ${printable(token!)}\n`);
    });
    return { name, text, tokens: ids.length, masks };
  },
  async classify(asked) {
    const { loaded, values, say, name } = asked;
    const ids = marked(asked);
    const classes = await classify(loaded, { ids, windows: windows(values), top: values.top });
    say(heading(asked));
    for (const { label, probability, value } of classes) {
      say(`${value === undefined ? percent(probability) : value.toFixed(4)}  ${printable(label!)}\n`);
    }
    return { name, tokens: ids.length, classes };
  },
  async embed(asked) {
    const { loaded, values, say, name } = asked;
    const ids = marked(asked);
    const vector = await embed(loaded, { ids, windows: windows(values), pool: values.pool as 'mean' });
    say(`${JSON.stringify(Array.from(vector))}\n`);
    return { name, tokens: ids.length, vector: Array.from(vector) };
  },
  summarise: (asked) => continuing(asked, marked(asked), ''),
  generate: (asked) => {
    const ids = asked.loaded.config.kind === 'encoder-decoder' ? marked(asked) : asked.tokenizer.encode(asked.text);
    return continuing(asked, ids, asked.loaded.config.kind === 'encoder-decoder' ? '' : asked.text);
  },
};

async function continuing(asked: Asked, ids: Int32Array, prompt: string): Promise<object> {
  const { loaded, tokenizer, values, say, stopping, name } = asked;
  const bound = loaded.config.kind === 'encoder-decoder' ? boundOf(loaded) : undefined;
  if (bound !== undefined && ids.length > bound) {
    throw new OptionError(
      `the text has ${ids.length} tokens and the model learned ${bound} positions; take a model for longer texts (led, longt5, bigbird_pegasus), or subquad convert.`,
    );
  }
  if (ids.length === 0) throw new OptionError('the text has no tokens; give it some words.');
  const { tokens, temperature, 'top-k': topK, 'top-p': topP, seed } = values;
  const decoder = tokenizer.decoder();
  if (prompt !== '') decoder.push(ids);
  let text = '';
  const put = (piece: string): void => {
    text += piece;
    say(piece);
  };
  say(heading(asked) + prompt);
  const made: number[] = [];
  for await (const token of continued(loaded, { ids, tokens, temperature, topK, topP, seed, stopping })) {
    made.push(token);
    put(decoder.push([token]));
  }
  put(decoder.end());
  say('\n');
  return { name, prompt, text, tokens: made.length, ended: made.length < tokens };
}

/** What was asked for, or what the class is for. */
function taskOf(asked: TaskName | undefined, { cls, family }: Pretrained): TaskName {
  const own = cls.task === 'base' ? 'embed' : (cls.task as TaskName);
  const task = asked ?? own;
  if (!tasks.includes(task)) {
    throw new UsageError(`${WHO}: ${cls.name} is for ${cls.task}, which is no task here; take ${tasks.join(', ')}.`);
  }
  // every model has rows, and an encoder–decoder goes on with what it read
  const fits = task === 'embed' || task === own || (task === 'generate' && own === 'summarise');
  if (fits) return task;
  const classes = Object.entries(family.classes).filter(([, one]) => one.task === task);
  const remedy =
    classes.length > 0
      ? `load the weights of one that is, such as ${classes[0]![0]}`
      : `${family.title} has no class for it`;
  throw new UsageError(`${WHO}: ${cls.name} is not for ${task} but for ${own}; ${remedy}.`);
}

/** What a task has no use for would go unheard. */
function refuseUnused(values: Values<typeof options>, task: TaskName): void {
  const generating = task === 'generate' || task === 'summarise';
  const unused = [
    generating && values.window !== undefined && '--window',
    (generating || task === 'embed') && values.top !== undefined && '--top',
    task !== 'embed' && values.pool !== 'mean' && '--pool',
    !generating && values.temperature !== 0 && '--temperature',
    !generating && values['top-k'] !== undefined && '--top-k',
    !generating && values['top-p'] !== undefined && '--top-p',
  ].filter((one) => one !== false);
  if (unused.length > 0)
    throw new UsageError(`${WHO}: task ${task} has no use for ${unused.join(' and ')}; leave it out.`);
}

function textsOf(words: readonly string[], { file, lines }: Values<typeof options>, io: Io): readonly Text[] {
  const files = words.length === 0 && file.length === 0 ? ['-'] : file;
  if (lines && files.length === 0) throw new UsageError(`${WHO}: --lines is of files; name one with --file.`);
  const read = files.flatMap((path) => {
    const { name, bytes } = readText(WHO, path, LONGEST, io);
    const text = new TextDecoder().decode(bytes);
    if (!lines) return [{ name, text: text.replace(/\r?\n$/, '') }];
    return text
      .split(/\r?\n/)
      .flatMap((line, i) => (line === '' ? [] : [{ name: `${name}, line ${i + 1}`, text: line }]));
  });
  const own = words.map((text, i) => ({ name: `text ${i + 1}`, text }));
  const all = [...own, ...read];
  if (all.length === 0)
    throw new FailureError(`${WHO}: there is no text; write one behind the model, or name a --file.`);
  return all;
}

export const runCommand: Command = {
  summary: 'a published model on texts: masks, classes, vectors, summaries',
  help,
  run,
};
