import { join, resolve } from 'node:path';
import { makeFolders } from '../../core/folders.js';
import { FormatError } from '../../core/errors.js';
import { reasonOf } from '../../core/system-errors.js';
import { findTexts, openCorpus, splitCorpus } from '../../data/index.js';
import { BUNDLED_TEXT } from '../../studies/bundled.js';
import { extrapolate as study, type Extrapolation } from '../../studies/extrapolate.js';
import type { ExtrapolationRow } from '../../studies/extrapolate-evaluate.js';
import { extrapolationMethods, usualMethods } from '../../studies/extrapolate-methods.js';
import { change, extrapolationFindings, summarise, type Summary } from '../../studies/extrapolate-summary.js';
import { printable, type Style, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { deviceOption, longestLength, seedOption, threadsOption, withDevice, jsonOption } from '../common-options.js';
import { OutputFile } from '../files.js';
import { fold } from '../fold.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { chooseMechanism, MECHANISM, setOption } from '../mechanism-options.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { Progress } from '../progress.js';
import { extrapolationReport, extrapolationSvg } from '../../report/extrapolation.js';
import { table } from '../table.js';
import { textPath } from '../text-file.js';
import { version } from '../version.js';

const WHO = 'subquad extrapolate';
const names = extrapolationMethods.map(({ name }) => name);

const options = {
  methods: { takes: 'choices', choices: names, default: usualMethods, help: 'ways to know positions' },
  length: { takes: 'integer', value: 'N', range: [2, 65536], default: 128, help: 'bytes of a training window, L' },
  times: {
    takes: 'integers',
    value: 'N,…',
    range: [1, 4096],
    default: [1, 2, 4, 8, 16],
    help: 'evaluated lengths, as multiples of L',
  },
  seeds: { takes: 'integer', value: 'N', range: [1, 100], default: 1, help: 'models of each method' },
  seed: { ...seedOption, help: 'the first seed' },
  steps: { takes: 'integer', value: 'N', range: [2, 10_000_000], default: 1000, help: 'training steps of a model' },
  batch: { takes: 'integer', value: 'N', range: [1, 65536], default: 16, help: 'windows of a step' },
  rate: { takes: 'number', value: 'X', range: [1e-9, 1], default: 3e-3, help: 'highest learning rate' },
  layers: { takes: 'integer', value: 'N', range: [1, 1000], default: 2, help: 'layers of a model' },
  width: { takes: 'integer', value: 'N', range: [2, 65536], default: 64, help: 'size of the stream between them' },
  heads: { takes: 'integer', value: 'N', range: [1, 1024], default: 4, help: 'attention heads' },
  mechanism: { takes: 'text', value: MECHANISM, default: 'flash', help: 'what the models attend by' },
  set: setOption,
  plugin: pluginOption,
  validation: {
    takes: 'number',
    value: 'X',
    range: [1e-6, 0.9],
    default: 0.1,
    help: 'share of the text, at its end, that is evaluated on',
  },
  'max-bytes': {
    takes: 'integer',
    value: 'N',
    range: [1, longestLength],
    default: 65536,
    help: 'bytes of it that are scored at most',
  },
  out: {
    takes: 'text',
    value: 'FOLDER',
    default: 'subquad-extrapolate',
    help: 'report, figure, and finished models, with which a later run goes on',
  },
  device: deviceOption,
  threads: threadsOption,
  json: { ...jsonOption, help: 'write all numbers to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} [files…] [options]`,
  about:
    'Trains the same small model with each way to know positions, on windows of L bytes (default text: the bundled novel), reads\n' +
    'an unseen part in windows of L and of multiples of it, and draws how well each predicts: figure 1 of the ALiBi paper.',
  options,
  notes:
    'Variants of RoPE are one model, evaluated with other angles. Learned positions end at L; learned-tiled repeats their table.',
  examples: [
    [WHO, 'all methods, one seed'],
    [`${WHO} --seeds 3`, 'the figure with its spread'],
    [`${WHO} --mechanism sliding-window:radius=32`, 'with a window'],
    [`${WHO} book.txt --methods sinusoidal,alibi --length 256 --steps 500`, 'two methods on your own text'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const { mechanism, options: settings } = chooseMechanism(WHO, values.mechanism, values.set);
  const paths = positionals.length === 0 ? [BUNDLED_TEXT] : findTexts(positionals.map((path) => textPath(path, io)));
  const text = splitCorpus(openCorpus(paths), values.validation);
  const folder = resolve(io.cwd, values.out);
  makeFolder(folder, values.out);
  const [page, figure] = [
    new OutputFile(WHO, 'out', join(folder, 'extrapolate.html'), io),
    new OutputFile(WHO, 'out', join(folder, 'extrapolate.svg'), io),
  ];
  const json = jsonOutput(WHO, values.json, io);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const progress = new Progress(io);
  const began = performance.now();
  const result = await withDevice(WHO, values, async (device) => {
    io.interruption?.listen(true);
    try {
      return await study(device, text, {
        methods: values.methods,
        length: values.length,
        times: values.times,
        layers: values.layers,
        width: values.width,
        heads: values.heads,
        mechanism: { name: mechanism.name, options: settings },
        steps: values.steps,
        batchSize: values.batch,
        rate: values.rate,
        seeds: values.seeds,
        seed: values.seed,
        maxTokens: values['max-bytes'],
        folder: join(folder, 'models'),
        stopping: () => io.interruption?.asked() === true,
        onProgress: ({ what, share }) => progress.show(`${what}; ${timeLeft(began, share)}`),
        onRows(rows) {
          progress.clear();
          say(line(rows, values.seeds, style));
        },
      });
    } finally {
      io.interruption?.listen(false);
      progress.clear();
    }
  });
  if (result.rows.length > 0) {
    say(render(result, style));
    const command = ['subquad', 'extrapolate', ...argv].join(' ');
    const name =
      paths.length === 1 ? text.train.documents[0]!.path.replace(/^.*[/\\]/, '') : format.count(paths.length, 'file');
    page.write(extrapolationReport(result, { command, version: version(), text: name }));
    figure.write(extrapolationSvg(result));
    say(`report  ${style.accent(printable(page.path))}\nfigure  ${style.accent(printable(figure.path))}\n`);
  }
  json?.write(result);
  if (result.stopped) say(`stopped; the same command goes on with the models that are finished\n`);
  return result.stopped ? 130 : 0;
}

function makeFolder(folder: string, given: string): void {
  try {
    makeFolders(folder);
  } catch (error) {
    throw new FormatError(`${WHO}: --out "${given}" cannot be made (${reasonOf(error)}); name another folder.`);
  }
}

function timeLeft(began: number, share: number): string {
  const seconds = (performance.now() - began) / 1000;
  return seconds < 5 || share <= 0
    ? `${Math.floor(100 * share)} %`
    : `${format.duration((seconds * (1 - share)) / share)} left`;
}

/** Columns of the name of a method. */
const METHOD = 14;

/** The rows of one model, windows side by side, as they come. */
function line(rows: readonly ExtrapolationRow[], seeds: number, style: Style): string {
  const [{ method, seed }] = rows as [ExtrapolationRow, ...ExtrapolationRow[]];
  const numbers = rows
    .filter(({ mode }) => mode === 'separate')
    .map(({ bitsPerByte }) => bits(bitsPerByte).padStart(6));
  const which = seeds > 1 ? style.dim(`  seed ${seed}`) : '';
  const row = `${method.padEnd(METHOD)}${numbers.join('  ')}${which}`;
  return `${fold(row, style.columns, METHOD).join('\n')}\n`;
}

const bits = (value: number | null): string => value?.toFixed(3) ?? '–';

function render(result: Extrapolation, style: Style): string {
  const { methods, times, length, seeds, model, parameters, recipe, scoredBytes, machine } = result;
  const found = summarise(result);
  const tables = (['separate', 'sliding'] as const).map((mode) => {
    const rows = methods.filter(({ name }) =>
      found.some((one) => one.method === name && one.mode === mode && one.seeds > 0),
    );
    const cell = (method: string, factor: number): Summary | undefined =>
      found.find((one) => one.method === method && one.mode === mode && one.times === factor);
    const text = table<Extrapolation['methods'][number]>(
      [
        { title: mode === 'separate' ? 'side by side' : 'sliding', width: 20, cell: ({ label }) => label },
        ...times.map((factor, i) => ({
          title: format.integer(factor * length),
          align: 'right' as const,
          // the shortest and the longest say most
          ...(i > 0 && i < times.length - 1 ? { spare: 1 } : {}),
          width: seeds.length > 1 ? 14 : 7,
          cell: ({ name }: { readonly name: string }) => number(cell(name, factor), seeds.length),
        })),
        ...times
          .filter((factor) => factor > 1)
          .map((factor) => ({
            title: `${factor}×`,
            spare: 2,
            align: 'right' as const,
            width: 7,
            cell: ({ name }: { readonly name: string }) => {
              const ratio = cell(name, factor)?.ratio ?? null;
              return ratio === null ? '–' : change(ratio);
            },
          })),
      ],
      rows,
      style,
    );
    return `${text}\n`;
  });
  const notes =
    'bits per byte by the length of the windows; 2×, …: change of perplexity per byte against the trained length' +
    `${seeds.length > 1 ? '; mean ± half the spread over seeds' : ''}.\n` +
    `${format.operations(parameters)} parameters, ${format.count(model.layers, 'layer')} of ${model.width}, ${model.mechanism.name}, ` +
    `${format.integer(recipe.steps)} steps of ${format.integer(recipe.batchSize * length)} bytes; ` +
    `${format.integer(scoredBytes)} unseen bytes, the same at every length; ${format.place(machine.device)}.\n`;
  return `\n${tables.join('')}${extrapolationFindings(result).join('\n')}\n\n${style.dim(notes)}\n`;
}

function number(one: Summary | undefined, seeds: number): string {
  if (one === undefined || one.bitsPerByte === null) return '–';
  const half = (one.highest! - one.lowest!) / 2;
  return seeds > 1 ? `${bits(one.bitsPerByte)} ± ${half.toFixed(3)}` : bits(one.bitsPerByte);
}

export const extrapolate: Command = {
  summary: 'which positions work beyond the trained length: trains, measures, draws',
  help,
  run,
};
