import { residualKinds } from '../../models/index.js';
import { jsonOutput } from '../json-output.js';
import { calibrate } from '../../studies/calibrate.js';
import { planTraining as study, type TrainingPlan, type TrainingPlanRow } from '../../studies/plan-training.js';
import { styleFor, type Style } from '../ansi.js';
import { parseOptions, type Values } from '../arguments.js';
import { readBytes } from '../byte-size.js';
import { longestLength, noPositionals, withDevice, jsonBeforeWords } from '../common-options.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { Progress } from '../progress.js';
import { table } from '../table.js';
import { options as trainOptions, readWanted } from './train-options.js';

const WHO = 'subquad plan train';

const { config, preset, kind, mechanism, set, plugin, position, layers, width, heads, dropout } = trainOptions;
const { precision, batch, accumulate, optimiser, device, threads } = trainOptions;

const options = {
  lengths: {
    takes: 'integers',
    value: 'N,…',
    range: [1, longestLength],
    help: "tokens of a window; default the configuration's",
  },
  residuals: {
    takes: 'choices',
    choices: residualKinds,
    default: residualKinds,
    help: 'how what lies between the layers is kept',
  },
  config,
  preset,
  kind,
  mechanism,
  set,
  'feed-forward': trainOptions['feed-forward'],
  plugin,
  position,
  layers,
  width,
  heads,
  dropout,
  precision,
  batch,
  accumulate,
  optimiser,
  'memory-limit': trainOptions['memory-limit'],
  'no-probe': { takes: 'nothing', help: 'do not measure the machine; no times are predicted' },
  device,
  threads,
  json: jsonBeforeWords,
} as const;

export const planTrainingHelp: HelpText = {
  usage: `${WHO} [options]`,
  about:
    'What a training step of a whole model takes, before anything runs: the trainer works on a device that only counts, so bytes are\n' +
    'exact. Time follows from a probe of about two seconds.',
  options,
  examples: [
    [`${WHO} --preset small`, 'the model of subquad train --preset small'],
    [
      `${WHO} --preset small --mechanism sliding-window:radius=256 --lengths 1024,16384,65536 --batch 1`,
      'how memory grows with the length',
    ],
  ],
};

/** `subquad plan train …` */
export async function planTraining(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals);
  const wanted = readWanted(WHO, values as unknown as Values<typeof trainOptions>, [], io);
  const memoryLimit = readBytes(WHO, 'memory-limit', values['memory-limit']);
  const json = jsonOutput(WHO, values.json, io);
  const progress = new Progress(io);
  const found = await withDevice(WHO, values, async (own) => {
    const rates = values['no-probe'] ? undefined : await calibrate(own, (text) => progress.show(text));
    const { lengths = [wanted.model.length], residuals } = values;
    const onProgress = (what: string): void => progress.show(what);
    try {
      return await study(wanted, {
        lengths,
        residuals: residuals as never,
        like: own.info,
        memoryLimit,
        rates,
        onProgress,
      });
    } finally {
      progress.clear();
    }
  });
  if (json) json.write(found);
  else io.out(render(found, styleFor(io, io.outTerminal)));
  return 0;
}

function render(
  { model, parameters, batch: rows, precision: stored, memoryLimit, rows: all, refused }: TrainingPlan,
  style: Style,
): string {
  const title = [
    `${model.kind}, ${format.count(model.layers, 'layer')} of ${model.width}, ${format.count(model.heads, 'head')}`,
    `${model.mechanism.name}, ${model.position.method}`,
    `${format.operations(parameters)} parameters`,
    `batch ${rows}, ${stored}`,
    memoryLimit === null ? 'no memory limit' : `at most ${format.bytes(memoryLimit)}`,
  ].join('; ');
  const timed = all.some(({ seconds }) => seconds !== null);
  const shown = table<TrainingPlanRow>(
    [
      { title: 'length', align: 'right', cell: ({ length }) => format.integer(length) },
      { title: 'residual', cell: ({ residual, every }) => (every > 0 ? `${residual}, groups of ${every}` : residual) },
      { title: 'multiply-adds', spare: 4, align: 'right', cell: (row) => format.operations(row.multiplyAdds) },
      ...(timed
        ? [
            {
              title: 'time',
              align: 'right' as const,
              cell: (row: TrainingPlanRow) => format.milliseconds(1000 * row.seconds!),
            },
            {
              title: 'tokens/s',
              spare: 1,
              align: 'right' as const,
              cell: (row: TrainingPlanRow) => format.integer(row.tokens / row.seconds!),
            },
          ]
        : []),
      { title: 'at rest', spare: 2, align: 'right', cell: ({ restBytes }) => format.bytes(restBytes) },
      { title: 'peak', align: 'right', cell: ({ peakBytes }) => format.bytes(peakBytes) },
      {
        title: 'a token',
        spare: 3,
        align: 'right',
        cell: (row) => format.bytes(Math.round((row.peakBytes - row.restBytes) / row.tokens)),
      },
      { title: 'fits', cell: ({ fits }) => (fits ? 'yes' : style.bad('no')) },
    ],
    all,
    style,
  );
  const left = refused.map(({ residual, why }) => style.dim(`${residual}: ${why}`));
  return [
    `${style.bold('A training step')}  ${title}\n`,
    shown,
    ...left,
    style.dim('at rest: parameters and the state of the optimiser'),
    '',
  ].join('\n');
}
