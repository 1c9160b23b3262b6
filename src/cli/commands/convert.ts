import { resolve } from 'node:path';
import type { TokenSource } from '../../data/index.js';
import { seesBothSides } from '../../models/create.js';
import * as format from '../../report/format.js';
import { modelWords } from '../../report/swaps.js';
import { BUNDLED_ENCODER } from '../../studies/bundled.js';
import { convert as study, type Converted } from '../../studies/convert.js';
import { type ConversionRow, scoreConversion, stagesOf } from '../../studies/convert-scores.js';
import { type EvaluationText, openEvaluationText } from '../../studies/evaluate-text.js';
import { maskingFor } from '../../studies/objective.js';
import { openModel } from '../../pretrained/open.js';
import { checkExport, exportModel } from '../../train/model-file.js';
import type { LoadedModel } from '../../train/model-of.js';
import { printable, type Style, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import type { Command } from '../command.js';
import { deviceOption, jsonOption, longestLength, seedOption, threadsOption, withDevice } from '../common-options.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { chooseMechanism, MECHANISM, setOption } from '../mechanism-options.js';
import { pluginOption } from '../plugins.js';
import { modelAndFiles } from '../model-and-files.js';
import { Progress } from '../progress.js';
import { table } from '../table.js';
import { textPath } from '../text-file.js';
import { version } from '../version.js';

const WHO = 'subquad convert';

const options = {
  to: {
    takes: 'text',
    value: MECHANISM,
    help: 'what the layers of exact attention become: longformer, bigbird, hyper, window,\nor any mechanism of subquad mechanisms',
  },
  length: { takes: 'integer', value: 'N', range: [1, longestLength], help: 'tokens that the new model is for' },
  set: setOption,
  out: {
    takes: 'output',
    value: 'FILE',
    default: 'converted.safetensors',
    help: 'the new weights, with their JSON beside them',
  },
  steps: {
    takes: 'integer',
    value: 'N',
    range: [1, 2 ** 31 - 1],
    help: 'train all weights for so many steps, at lengths that double up to --length;\ndefault none',
  },
  'train-on': {
    takes: 'texts',
    value: 'FILE',
    default: [],
    help: 'texts for these steps; default what the model was trained on',
  },
  rate: { takes: 'number', value: 'RATE', range: [1e-9, 1], help: 'of the first of these lengths; default 0.0002' },
  'max-bytes': { takes: 'integer', value: 'N', range: [1, 2 ** 40], default: 65536, help: 'of the text to score' },
  score: { takes: 'choice', choices: ['yes', 'no'], default: 'yes', help: 'whether both models are scored on a text' },
  plugin: pluginOption,
  device: deviceOption,
  threads: threadsOption,
  seed: seedOption,
  json: { ...jsonOption, help: 'write all numbers to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} [MODEL] [files…] --to ${MECHANISM} --length N [options]`,
  about:
    'A model for longer texts from a trained one: its attention to all pairs becomes attention that costs less, tables of learned positions\n' +
    'repeat, and projections of global tokens begin as copies of those of all tokens. MODEL is the folder of a training run, or\n' +
    'NAME.safetensors with its NAME.json; default the encoder that comes with the package. Both models are then scored: on the files, or on\n' +
    'what was kept for validation.',
  options,
  examples: [
    [`${WHO} --to window:radius=256 --length 8192`, 'four times the length of the bundled encoder'],
    [`${WHO} runs/encoder --to longformer --length 4096 --out long.safetensors`, 'with one global token'],
    [`${WHO} runs/encoder --to bigbird --length 4096 --steps 200`, 'and train it on'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const { to, length, set, rate } = values;
  if (to === undefined || length === undefined) {
    throw new UsageError(
      `${WHO}: takes --to, a mechanism, and --length, such as --to window:radius=256 --length 8192.`,
    );
  }
  const alone = ['rate', 'train-on'].filter((name) => [values[name as 'rate']].flat().some((x) => x !== undefined));
  if (alone.length > 0 && values.steps === undefined) {
    throw new UsageError(`${WHO}: --${alone.join(' and --')}: of training; give --steps too, or leave it out.`);
  }
  const chosen = chooseMechanism(WHO, to.replace(/^window(?=$|:)/, 'sliding-window'), set);
  const { path, files } = modelAndFiles(WHO, positionals, BUNDLED_ENCODER, io);
  const out = resolve(io.cwd, values.out);
  checkExport(out);
  const json = jsonOutput(WHO, values.json, io);
  const style = styleFor(io, io.outTerminal);
  const progress = new Progress(io);
  const found = await withDevice(WHO, values, async (device) => {
    progress.show('loading the model');
    const loaded = await openModel(resolve(io.cwd, path), { device });
    try {
      const { mechanism, options: settings } = chosen;
      const converted = study(loaded.model, loaded.config, { device, mechanism, settings, length, seed: values.seed });
      try {
        const rows = values.score === 'no' ? [] : await scores(loaded, converted);
        await exportModel(out, converted.model, { ...loaded.json, model: converted.config, version });
        const { config, drawn, copied, unused } = converted;
        return { model: path, out, from: loaded.config, config, drawn, copied, unused, rows };
      } finally {
        converted.model.dispose();
      }
    } finally {
      loaded.model.dispose();
    }

    async function scores(loaded: LoadedModel, converted: Converted): Promise<readonly ConversionRow[]> {
      if (seesBothSides(loaded.config) && maskingFor(loaded.json) === undefined) {
        if (values.steps === undefined) return [];
        throw new UsageError(`${WHO}: --steps: the model was not trained to predict tokens; leave it out.`);
      }
      const text = await openEvaluationText(loaded.json, files, io.cwd);
      try {
        return await withTraining(loaded, text, (training) =>
          scoreConversion(loaded, converted, {
            device,
            source: text.source,
            seed: values.seed,
            maxBytes: values['max-bytes'],
            masking: maskingFor(loaded.json),
            ...(training && {
              continued: {
                steps: values.steps!,
                stages: stagesOf(loaded.config.length, length!),
                source: training,
                ...(rate !== undefined && { rate }),
              },
            }),
            onProgress: (what) => progress.show(what),
          }),
        );
      } finally {
        text.close();
      }
    }

    async function withTraining<T>(
      { json: about }: LoadedModel,
      text: EvaluationText,
      body: (training: TokenSource | undefined) => Promise<T>,
    ): Promise<T> {
      if (values.steps === undefined) return body(undefined);
      const named = values['train-on'].map((file) => textPath(file, io));
      if (named.length === 0 && (text.training === undefined || text.source.unit === 'token')) {
        throw new UsageError(`${WHO}: --steps: name texts to train on, as --train-on FILE.`);
      }
      if (named.length === 0) return body(text.training);
      const training = await openEvaluationText(about, named, io.cwd);
      try {
        return await body(training.source);
      } finally {
        training.close();
      }
    }
  }).finally(() => progress.clear());
  if (json?.standard !== true) io.out(render(found, style));
  json?.write(found);
  return 0;
}

interface Found {
  readonly model: string;
  readonly out: string;
  readonly from: LoadedModel['config'];
  readonly config: LoadedModel['config'];
  readonly drawn: readonly string[];
  readonly copied: readonly string[];
  readonly rows: readonly ConversionRow[];
}

function render({ model, out, from, config, drawn, copied, rows }: Found, style: Style): string {
  const masked = rows.some(({ accuracy }) => accuracy !== null);
  const scores = table<ConversionRow>(
    [
      { title: 'model', cell: (row) => row.model },
      { title: 'windows of', align: 'right', cell: ({ length }) => format.integer(length) },
      {
        title: masked ? 'bits per masked byte' : 'bits per byte',
        align: 'right',
        cell: ({ bitsPerByte }) => bitsPerByte.toFixed(4),
      },
      ...(masked
        ? [
            {
              title: 'accuracy',
              align: 'right' as const,
              cell: ({ accuracy }: ConversionRow) => `${(100 * accuracy!).toFixed(2)} %`,
            },
          ]
        : []),
      { title: 'windows', spare: 1, align: 'right', cell: ({ windows }) => format.integer(windows) },
      { title: 'tokens/s', spare: 2, align: 'right', cell: (row) => format.integer(Math.round(row.tokensPerSecond)) },
    ],
    rows,
    style,
  );
  const made = [
    ...(copied.length > 0 ? [`${format.count(copied.length, 'tensor')} copied from others`] : []),
    ...(drawn.length > 0 ? [`${format.count(drawn.length, 'tensor')} drawn: the model is to be trained on`] : []),
  ];
  const name = model === BUNDLED_ENCODER ? 'the encoder that comes with the package' : printable(model);
  return [
    `${style.bold(name)}: ${modelWords(from)}`,
    '',
    `becomes ${modelWords(config).replace('trained at length', 'for length')}`,
    '',
    ...(made.length > 0 ? [`${made.join('; ')}.`, ''] : []),
    ...(rows.length > 0 ? [scores] : []),
    `wrote ${style.accent(printable(out))}`,
    '',
  ].join('\n');
}

export const convert: Command = {
  summary: 'a model for longer texts from a trained one: other attention, copied positions',
  help,
  run,
};
