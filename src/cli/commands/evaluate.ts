import { resolve } from 'node:path';
import type { Mechanism } from '../../attention/index.js';
import { type Corpus, openCorpus } from '../../data/index.js';
import { BUNDLED_MODEL } from '../../studies/bundled.js';
import { evaluateModel, type Evaluation, type EvaluationRow, MOST_COUNTED } from '../../studies/evaluate.js';
import { evaluateClasses } from '../../studies/evaluate-classes.js';
import { evaluateMasked } from '../../studies/evaluate-masked.js';
import { openEvaluationText, type EvaluationText } from '../../studies/evaluate-text.js';
import { dataOf } from '../../studies/tokeniser-of.js';
import { evaluateSpans, type SpanEvaluation } from '../../studies/evaluate-spans.js';
import { maskingFor, objectiveOf } from '../../studies/objective.js';
import { openModel } from '../../pretrained/open.js';
import { specialEnds } from '../../pretrained/task-windows.js';
import type { LoadedModel } from '../../train/model-of.js';
import { printable, type Style, styleFor } from '../ansi.js';
import { parseOptions, type Values } from '../arguments.js';
import { deviceOption, longestLength, seedOption, threadsOption, withDevice, jsonOption } from '../common-options.js';
import * as format from '../../report/format.js';
import { modelWords } from '../../report/swaps.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { chooseMechanism, MECHANISM, setOption } from '../mechanism-options.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { modelAndFiles } from '../model-and-files.js';
import { Progress } from '../progress.js';
import { table } from '../table.js';
import { textPath } from '../text-file.js';
import { renderClasses } from './evaluate-classes.js';
import { renderMasked } from './evaluate-masked.js';

const WHO = 'subquad evaluate';

const options = {
  length: {
    takes: 'integers',
    value: 'N,…',
    range: [1, longestLength],
    help: 'tokens that the model sees at a time;\ndefault what it was trained on',
  },
  mode: {
    takes: 'choice',
    choices: ['both', 'separate', 'sliding'],
    help: 'windows side by side, or overlapping, each token scored once;\ndefault both, and side by side where tokens are masked',
  },
  stride: {
    takes: 'integer',
    value: 'N',
    range: [1, longestLength],
    help: 'tokens from one sliding window to the next; default half of the length',
  },
  'max-bytes': {
    takes: 'integer',
    value: 'N',
    range: [1, 2 ** 40],
    help: 'score this many at most, evenly over the text; default all',
  },
  images: {
    takes: 'texts',
    value: 'FILE',
    default: [],
    help: 'of a model that tells classes of images: IDX images to evaluate on',
  },
  labels: { takes: 'texts', value: 'FILE', default: [], help: 'IDX labels of these' },
  mechanism: { takes: 'text', value: MECHANISM, help: 'attend by this mechanism instead, without training again' },
  set: setOption,
  plugin: pluginOption,
  weights: { takes: 'choice', choices: ['best', 'last'], help: 'which weights of a run; default the best' },
  precision: { takes: 'choice', choices: ['f32', 'bf16', 'f16'], default: 'f32', help: 'how activations are stored' },
  baseline: {
    takes: 'text',
    value: 'FILE',
    help: 'count a 5-gram on this text, for comparison; none: no 5-gram;\ndefault what the model was trained on, where it is there',
  },
  device: deviceOption,
  threads: threadsOption,
  seed: seedOption,
  json: { ...jsonOption, help: 'write all numbers to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} [MODEL] [files…] [options]`,
  about:
    'How well a trained model predicts a text: bits per byte and perplexity, at any lengths; of one that was trained on masked tokens,\n' +
    'how well it fills them in, of one that tells classes, accuracy and which is taken for which. MODEL is the folder of a training run, or NAME.safetensors with its NAME.json; default the one that comes\n' +
    'with the package. Without files: what the run kept for validation.',
  options,
  examples: [
    [`${WHO} runs/tiny`, 'on the validation part of its own text'],
    [`${WHO} runs/tiny other.txt --length 256,512,1024 --mode both`, 'another text, longer than it was trained on'],
    [`${WHO} runs/tiny --mechanism sliding-window:radius=32`, 'what it costs to see 32 bytes back only'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const { path, files } = modelAndFiles(WHO, positionals, BUNDLED_MODEL, io);
  if (values.weights !== undefined && path.endsWith('.safetensors')) {
    throw new UsageError(`${WHO}: --weights chooses among those of a run; "${path}" is a file of one kind.`);
  }
  if (values.stride !== undefined && values.mode === 'separate') {
    throw new UsageError(`${WHO}: --stride is of sliding windows; leave it out, or take --mode sliding.`);
  }
  if (values.mechanism !== undefined) chooseMechanism(WHO, values.mechanism, values.set);
  const json = jsonOutput(WHO, values.json, io);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const progress = new Progress(io);
  const { result, head, rows } = await withDevice(WHO, values, async (device) => {
    const { precision, weights, seed, stride, mode } = values;
    progress.show('loading the model');
    const loaded = await openModel(resolve(io.cwd, path), {
      device,
      ...(weights && { weights: weights as 'best' | 'last' }),
    });
    try {
      const objective = objectiveOf(loaded.json);
      const mechanism = mechanismOf(values.mechanism, values.set, loaded);
      const onProgress = (what: string): void => progress.show(what);
      if (objective.name === 'classify') {
        refuseUnused(values, 'to tell classes, so it sees whole examples', [
          'length',
          'mode',
          'stride',
          'max-bytes',
          'baseline',
        ]);
        const data = dataOf(loaded.json) ?? { texts: [], tokeniser: null, validation: 0 };
        const on = { texts: files, images: paths(values.images, io), labels: paths(values.labels, io) };
        const asked = { objective, data, on, precision: precision as 'f32', mechanism, seed, onProgress };
        const result = await evaluateClasses(device, loaded, asked);
        return {
          result,
          head: `${modelLine(path, loaded, style)}\n`,
          rows: swapText(result) + renderClasses(result, style),
        };
      }
      refuseUnused(values, 'on texts, which have no labels', ['images', 'labels']);
      const text = await openEvaluationText(loaded.json, files, io.cwd);
      try {
        const common = {
          lengths: values.length ?? [loaded.config.length],
          maxBytes: values['max-bytes'],
          precision: precision as 'f32',
          mechanism,
          seed,
          onProgress,
        };
        if (objective.name === 'masked') {
          refuseUnused(values, 'on masked tokens, so windows lie side by side', ['mode', 'stride', 'baseline']);
          const result = await evaluateMasked(device, loaded, text.source, {
            ...common,
            objective,
            maskToken: maskingFor(loaded.json)?.maskToken,
            around: loaded.published && specialEnds(loaded.published),
          });
          const head = heading(path, loaded, text, undefined, style);
          return { result, head, rows: swapText(result) + renderMasked(result, style) };
        }
        if (objective.name === 'spans') {
          refuseUnused(values, 'to tell spans, at its own length and by its own mechanism', [
            'length',
            'mode',
            'stride',
            'baseline',
            'mechanism',
          ]);
          const asked = { objective, precision: common.precision, maxBytes: common.maxBytes, seed, onProgress };
          const result = await evaluateSpans(device, loaded, text.source, asked);
          return { result, head: heading(path, loaded, text, undefined, style), rows: renderSpans(result, style) };
        }
        const baseline = baselineOf(values.baseline, text, io);
        const modes = modesOf(mode, loaded);
        const result = await evaluateModel(device, loaded, text, {
          ...common,
          modes,
          stride,
          baseline: baseline.corpus,
        });
        return { result, head: heading(path, loaded, text, baseline.note, style), rows: render(result, style) };
      } finally {
        text.close();
      }
    } finally {
      loaded.model.dispose();
    }
  }).finally(() => progress.clear());
  say(head + rows);
  json?.write(result);
  return 0;
}

/** What a 5-gram is counted on, or why none is. */
function baselineOf(
  path: string | undefined,
  { training }: EvaluationText,
  io: Io,
): { readonly corpus?: Corpus | undefined; readonly note?: string } {
  if (path === 'none') return {};
  if (path !== undefined) return { corpus: openCorpus([textPath(path, io)]) };
  if (training === undefined || training.size <= MOST_COUNTED) return { corpus: training };
  const size = format.bytes(training.size);
  return { note: `no 5-gram: the ${size} it was trained on take minutes to count; --baseline FILE counts a file` };
}

const paths = (list: readonly string[], io: Io): readonly string[] => list.map((path) => textPath(path, io));

/** What the model has no use for would go unheard. */
function refuseUnused(values: Values<typeof options>, trained: string, names: readonly (keyof typeof options)[]): void {
  const unused = names.filter((name) => {
    const value = values[name];
    const none = value === undefined || (Array.isArray(value) && value.length === 0);
    return !none && value !== 'separate' && value !== 'none';
  });
  if (unused.length === 0) return;
  throw new UsageError(
    `${WHO}: the model was trained ${trained}; leave out ${unused.map((name) => `--${name}`).join(' and ')}.`,
  );
}

/** A model with memory reads windows one after the other only. */
function modesOf(mode: string | undefined, { config }: LoadedModel): readonly ('separate' | 'sliding')[] {
  if (mode !== undefined && mode !== 'both') return [mode as 'separate'];
  return config.memory.length > 0 ? ['separate'] : ['separate', 'sliding'];
}

function mechanismOf(
  word: string | undefined,
  set: readonly string[],
  { config }: LoadedModel,
): { readonly mechanism: Mechanism; readonly settings: Readonly<Record<string, unknown>> } | undefined {
  if (word === undefined && set.length === 0) return undefined;
  const { name, options: trained } = config.mechanism;
  const { mechanism, options } = chooseMechanism(WHO, word ?? name, set);
  return { mechanism, settings: { ...(word === undefined && trained), ...options } };
}

/** Which model it is. */
const modelLine = (path: string, { config }: LoadedModel, style: Style): string =>
  `${style.bold(printable(path))}: ${modelWords(config)}\n`;

function heading(
  path: string,
  loaded: LoadedModel,
  { bytes, source, heldOut }: EvaluationText,
  note: string | undefined,
  style: Style,
): string {
  const tokens = source.unit === 'token' ? `, ${format.count(source.size, 'token')}` : '';
  const [first] = bytes.documents;
  const name = bytes.documents.length === 1 ? first!.path : format.count(bytes.documents.length, 'file');
  return (
    modelLine(path, loaded, style) +
    `${style.dim(`${printable(name)}${heldOut ? ', the part kept for validation' : ''}: ${format.bytes(bytes.size)}${tokens}`)}\n` +
    (note === undefined ? '\n' : `${style.dim(note)}\n\n`)
  );
}

function render(evaluation: Evaluation, style: Style): string {
  const { rows, unit, machine } = evaluation;
  const bpe = unit === 'token';
  const error = (row: EvaluationRow): number => ((row.standardError ?? 0) * row.bitsPerByte) / row.natsPerToken;
  const text = table<EvaluationRow>(
    [
      { title: 'length', align: 'right', cell: ({ length }) => format.integer(length) },
      { title: 'windows', cell: ({ mode, stride, memory }) => windows(mode, stride, memory) },
      { title: 'bits per byte', align: 'right', cell: ({ bitsPerByte }) => bitsPerByte.toFixed(4) },
      {
        title: '±',
        spare: 1,
        align: 'right',
        cell: (row) => (row.standardError === null ? '–' : error(row).toFixed(4)),
      },
      {
        title: 'perplexity per byte',
        spare: 4,
        align: 'right',
        cell: ({ perplexityPerByte }) => perplexityPerByte.toFixed(3),
      },
      ...(bpe
        ? [
            {
              title: 'per token',
              spare: 5,
              align: 'right' as const,
              cell: (row: EvaluationRow) => row.perplexity.toFixed(2),
            },
          ]
        : []),
      ...(rows.some(({ baseline }) => baseline !== null)
        ? [
            {
              title: '5-gram',
              spare: 2,
              align: 'right' as const,
              cell: (row: EvaluationRow) => row.baseline?.toFixed(4) ?? '–',
            },
          ]
        : []),
      { title: `${unit}s`, spare: 3, align: 'right', cell: ({ tokens }) => format.integer(tokens) },
      { title: 'time', spare: 6, align: 'right', cell: ({ seconds }) => format.milliseconds(1000 * seconds) },
    ],
    rows,
    style,
  );
  const notes = [
    '± is one standard error over windows, taken for independent.',
    ...(rows.some(({ baseline }) => baseline !== null) ? ['5-gram: its bits per byte.'] : []),
    `${format.place(machine.device)}.`,
  ];
  return `${swapText(evaluation)}${text}\n${style.dim(notes.join(' '))}\n`;
}

/** How well spans are told. */
function renderSpans(found: SpanEvaluation, style: Style): string {
  const { accuracy, bitsPerTarget, targets, windows, window, unit, seconds, machine } = found;
  const rest = [
    `${format.integer(targets)} targets, sentinels among them, of ${format.count(windows, 'window')} of ${format.integer(window)} ${unit}s`,
    format.milliseconds(1000 * seconds),
    format.place(machine.device),
  ];
  return `${style.bold(`accuracy ${(100 * accuracy).toFixed(2)} %`)}, ${bitsPerTarget.toFixed(4)} bits per target\n${style.dim(`${rest.join('; ')}.`)}\n`;
}

function swapText({ swapped, config }: Pick<Evaluation, 'swapped' | 'config'>): string {
  if (swapped === null) return '';
  const { from, drawn, unused } = swapped;
  const some = (list: readonly string[], what: string): string =>
    list.length === 0 ? '' : `; ${format.count(list.length, 'tensor')} ${what}`;
  return `attends by ${config.mechanism.name} in place of ${from}, not trained for it${some(drawn, 'drawn')}${some(unused, 'without use')}\n\n`;
}

const windows = (mode: string, stride: number, memory: boolean): string =>
  memory ? 'in order, with memory' : mode === 'separate' ? 'side by side' : `sliding by ${format.integer(stride)}`;

export const evaluate: Command = {
  summary: 'bits per byte and perplexity of a trained model, at any length',
  help,
  run,
};
