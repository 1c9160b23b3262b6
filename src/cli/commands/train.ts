import { basename, join, relative, resolve } from 'node:path';
import { train as study, type TrainResult } from '../../studies/train.js';
import { saveAdapters } from '../../train/adapters.js';
import { type Metric, MetricsFile } from '../../train/metrics.js';
import { checkExport, exportModel, loadModel } from '../../train/model-file.js';
import { printable, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { readBytes } from '../byte-size.js';
import { withDevice } from '../common-options.js';
import { OutputFile } from '../files.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { jsonOutput } from '../json-output.js';
import type { Command } from '../command.js';
import { trainingReport } from '../../report/training.js';
import { version } from '../version.js';
import { presetLines } from './preset-list.js';
import { options, readAsked } from './train-options.js';
import { bestScores, closing, heading, lasting, TrainProgress, UNITS } from './train-text.js';

const WHO = 'subquad train';

const help: HelpText = {
  usage: `${WHO} [files or folders] [options]`,
  about:
    'Trains a model on texts (default: the bundled novel) with any mechanism: a decoder to predict the next token, an encoder to fill in\n' +
    'masked ones, or either to tell classes. Leaves a folder with its configuration, metrics, the last and the best weights. Ctrl-C finishes the step, saves and stops; what was killed\n' +
    'is resumed from its last save. The same settings give the same bits, however often a run was resumed.',
  options,
  notes:
    'With --minutes, a few steps of the warm-up are timed, and config.json then holds a number of steps: the schedule depends on\n' +
    'that number alone. A disk that is full while saving leaves the save before untouched; training goes on and tries again.\n\n' +
    `Presets, of which encoders fill in masked tokens and decoders go on with texts:\n${presetLines()}`,
  examples: [
    [WHO, 'ten minutes on the bundled novel'],
    [`${WHO} notes/ --mechanism sliding-window:radius=128 --length 2048`, 'your own texts, with a window'],
    [`${WHO} --objective masked --length 1024 --out encoder`, 'an encoder that fills in spans of bytes'],
    [
      `${WHO} --objective masked --mask-share 0.15 --mask-span 1 --tokeniser tokenizer.json`,
      'as BERT: single tokens of your tokeniser',
    ],
    [`${WHO} --objective masked --from subquad-run --out encoder`, 'an encoder from a decoder of the same sizes'],
    [`${WHO} --objective spans --length 512 --out t5`, 'an encoder–decoder that tells the spans that a text lacks'],
    [
      `${WHO} --objective classify reviews/ --length 4096 --truncate --out reviews-run`,
      'a folder for each class, over bytes',
    ],
    [
      `${WHO} --objective classify train.tsv --validation-on test.tsv --words --text-column Source --label-column Target`,
      'a table with a header; a token is a word',
    ],
    [
      `${WHO} --objective classify --images train-images.gz --labels train-labels.gz --length 784`,
      'images, pixel by pixel',
    ],
    [
      `${WHO} notes/ --from subquad-run --lora rank=8 --out adapted`,
      'adapters of rank 8 beside the weights of a model',
    ],
    [`${WHO} --resume subquad-run`, 'go on where a run stopped'],
    [`${WHO} --preset funnel --minutes 10 --out funnel`, 'a whole stack; the others by their names'],
    [
      `${WHO} --preset small --residual reversible --precision bf16 --minutes 60 --out small`,
      'a larger model in less memory',
    ],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const { config, folder, resume } = readAsked(WHO, values, positionals, io);
  const memoryLimit = readBytes(WHO, 'memory-limit', values['memory-limit']);
  const json = jsonOutput(WHO, values.json, io);
  const exported = values.export === undefined ? undefined : new OutputFile(WHO, 'export', values.export, io);
  if (exported) checkExport(exported.path);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (text: string) => io.out(text);
  const progress = new TrainProgress(io, config);
  const shown = printable(relative(io.cwd, folder) || '.');
  const result = await withDevice(WHO, values, async (device) => {
    io.interruption?.listen(true);
    try {
      const trained = await study(device, config, {
        folder,
        resume,
        memoryLimit,
        stopping: () => io.interruption?.asked() ?? false,
        onProgress: (what) => progress.doing(what),
        onStart(start) {
          progress.clear();
          say(heading(start, device.info, shown, style));
          progress.doing('the first step, with kernels to be compiled');
        },
        onMetric(metric, limits) {
          const line = lasting(metric, config.objective, style);
          if (line !== '') {
            progress.clear();
            say(line);
          }
          progress.metric(metric, limits);
        },
        onTrouble(message) {
          progress.clear();
          io.err(`warning  ${printable(message)}\n`);
        },
      });
      if (exported) await exportBest(trained, folder, exported.path, device);
      if (trained.config.model.lora) await adaptersApart(trained, folder, device);
      return trained;
    } finally {
      io.interruption?.listen(false);
      progress.clear();
    }
  });
  const metrics = new MetricsFile(join(folder, 'metrics.jsonl')).read();
  say(closing(result, metrics, shown, style));
  const command = ['subquad', 'train', ...argv].join(' ');
  say(`report  ${style.accent(printable(writeReport(result, metrics, folder, command, io)))}\n`);
  const { accuracy, macroF1, confusion } = bestScores(metrics) ?? {};
  json?.write({ version: version(), folder, ...result, accuracy, macroF1, confusion });
  return result.reason === 'interrupted' ? 130 : 0;
}

/** The curves of the run, beside its metrics. Returns the path. */
function writeReport(
  { config, fiveGram }: TrainResult,
  metrics: readonly Metric[],
  folder: string,
  command: string,
  io: Io,
): string {
  const file = new OutputFile(WHO, 'out', join(folder, 'report.html'), io);
  const name = basename(folder);
  const classes = config.objective.name === 'classify' ? config.objective.classes : [];
  const unit = UNITS[config.objective.name];
  file.write(
    trainingReport({
      metrics,
      config,
      name,
      version: version(),
      command,
      unit,
      classes,
      fiveGram: fiveGram ?? undefined,
    }),
  );
  return file.path;
}

async function exportBest(
  { config, best, step }: TrainResult,
  folder: string,
  path: string,
  device: Parameters<Parameters<typeof withDevice>[2]>[0],
): Promise<void> {
  const { model } = await loadModel(folder, { device });
  try {
    await exportModel(resolve(path), model, { ...config, best, step, version: version() });
  } finally {
    model.dispose();
  }
}

/** The best adapters alone, beside the run. */
async function adaptersApart(
  { config }: TrainResult,
  folder: string,
  device: Parameters<Parameters<typeof withDevice>[2]>[0],
): Promise<void> {
  const { model } = await loadModel(folder, { device });
  try {
    await saveAdapters(join(folder, 'adapters'), model, { lora: config.model.lora!, from: config.train.from });
  } finally {
    model.dispose();
  }
}

export const train: Command = { summary: 'a language model on your own text, resumable to the bit', help, run };
