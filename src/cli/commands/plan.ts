import type { Exactness } from '../../attention/index.js';
import { jsonOutput } from '../json-output.js';
import { textbookRank, textbookWindow } from '../../studies/by-hand.js';
import { calibrate } from '../../studies/calibrate.js';
import { byReason, plan as study, reachesText, type Plan, type PlanRow } from '../../studies/plan.js';
import type { Found, Reach } from '../../studies/reach.js';
import { styleFor, type Style } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { readBytes } from '../byte-size.js';
import {
  deviceOption,
  longestLength,
  noPositionals,
  seedOption,
  threadsOption,
  withDevice,
  jsonBeforeWords,
} from '../common-options.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { chooseVariants, MECHANISM, setOption } from '../mechanism-options.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { planTraining, planTrainingHelp } from './plan-training.js';
import { Progress } from '../progress.js';
import { fold } from '../fold.js';
import { definitions, table } from '../table.js';

const WHO = 'subquad plan';

/** One word for each class, as options take them. */
const classes: Readonly<Record<string, Exactness>> = {
  exact: 'exact',
  support: 'exact on its support',
  unbiased: 'unbiased',
  biased: 'biased',
  learned: 'learned',
};

const options = {
  length: { takes: 'integer', value: 'N', range: [1, longestLength], default: 4096, help: 'positions' },
  heads: { takes: 'integer', value: 'N', range: [1, 1024], default: 12, help: 'heads' },
  'head-dim': { takes: 'integer', value: 'N', range: [1, 256], default: 64, help: 'size of a head' },
  layers: { takes: 'integer', value: 'N', range: [1, 1024], default: 12, help: 'layers of attention' },
  batch: { takes: 'integer', value: 'N', range: [1, 65536], default: 1, help: 'batch size' },
  causal: { takes: 'nothing', help: 'causal attention' },
  training: { takes: 'nothing', help: 'forward and backward, with what is kept between them' },
  'memory-limit': { takes: 'text', value: 'BYTES', help: 'what attention may take, such as 8GB or 500MB' },
  exactness: {
    takes: 'choices',
    choices: Object.keys(classes),
    default: Object.keys(classes),
    help: 'how far from softmax attention is allowed; support: exact over the pairs of a pattern',
  },
  mechanisms: { takes: 'words', value: `${MECHANISM},…`, default: ['all'], help: 'which mechanisms' },
  set: setOption,
  plugin: pluginOption,
  'no-probe': { takes: 'nothing', help: 'do not measure the machine; no times are predicted' },
  seed: seedOption,
  device: deviceOption,
  threads: threadsOption,
  json: jsonBeforeWords,
} as const;

const help: HelpText = {
  usage: `${WHO} [options], or ${WHO} train [options] for a whole model`,
  about:
    'What attention will take before anything runs: multiply-adds, bytes by category, and time on this machine, after a probe of\n' +
    'about two seconds. Says what fits and what is recommended, and why.',
  options,
  notes:
    'Projections, feed-forward layers and optimiser states are not counted; plan train counts them. Bytes are of 1000. A mechanism is\n' +
    'recommended where a row sees at least √n tokens of n in a layer, for fewer are a bottleneck, and depends on nine tenths of the text\n' +
    'after all layers; a less exact one where a layer with projections and feed-forward of the usual sizes is twice as fast.',
  examples: [
    [WHO, '12 layers of 12 heads at 4096 positions'],
    [`${WHO} --length 65536 --causal --training --memory-limit 16GB`, 'what can be trained in 16 GB'],
    [`${WHO} --exactness exact,support --length 16384`, 'exact mechanisms and patterns only'],
    [
      `${WHO} train --preset small --lengths 1024,16384`,
      'a training step of a whole model; see subquad plan train --help',
    ],
    [`${WHO} --no-probe --json > plan.json`, 'memory and multiply-adds for programs'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === 'train') return planTraining(argv.slice(1), io);
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals);
  const asked = {
    length: values.length,
    heads: values.heads,
    headDim: values['head-dim'],
    layers: values.layers,
    batch: values.batch,
    causal: values.causal,
    training: values.training,
    memoryLimit: readBytes(WHO, 'memory-limit', values['memory-limit']),
    exactness: values.exactness.map((word) => classes[word]!),
    variants: chooseVariants(WHO, values.mechanisms, values.set),
    seed: values.seed,
  };
  const json = jsonOutput(WHO, values.json, io);
  const progress = new Progress(io);
  const found = await withDevice(WHO, values, async (device) => {
    const rates = values['no-probe'] ? undefined : await calibrate(device, (text) => progress.show(text));
    progress.show('planning');
    try {
      return study({ ...asked, rates, like: device.info });
    } finally {
      progress.clear();
    }
  });
  if (json) json.write(found);
  else io.out(render(found, styleFor(io, io.outTerminal)));
  return 0;
}

function render({ options: asked, rows, refused, recommended, byHand }: Plan, style: Style): string {
  const { length, heads, headDim, layers, batch, causal, training, memoryLimit } = asked;
  const title = [
    `${format.integer(length)} positions, ${format.count(heads, 'head')} of ${headDim}, ${format.count(layers, 'layer')}, batch ${batch}`,
    causal ? 'causal' : 'bidirectional',
    training ? 'training (forward and backward)' : 'inference',
    memoryLimit === undefined ? 'no memory limit' : `at most ${format.bytes(memoryLimit)}`,
  ].join(', ');
  const timed = rows.some(({ seconds }) => seconds !== null);
  const shown = table<PlanRow>(
    [
      {
        title: 'mechanism',
        cell: ({ mechanism }) => (mechanism === recommended.mechanism ? style.bold(mechanism) : mechanism),
      },
      { title: 'exactness', spare: 2, cell: ({ exactness }) => exactness },
      { title: 'multiply-adds', spare: 2.5, align: 'right', cell: (row) => multiplyAdds(row.multiplyAdds) },
      ...(timed
        ? [{ title: 'time', align: 'right' as const, cell: (row: PlanRow) => format.milliseconds(1000 * row.seconds!) }]
        : []),
      { title: 'sees', spare: 0, align: 'right', cell: ({ reach }) => format.integer(reach.tokens) },
      { title: 'reach', align: 'right', cell: ({ reach }) => share(reach) },
      { title: 'whole in', spare: 1, align: 'right', cell: ({ reach }) => wholeIn(reach) },
      { title: 'activations', spare: 3, align: 'right', cell: ({ bytes }) => format.bytes(bytes.activations) },
      { title: 'saved', spare: 4, align: 'right', cell: ({ bytes }) => format.bytes(bytes.saved) },
      {
        title: 'workspace',
        spare: 5,
        align: 'right',
        cell: ({ bytes }) => format.bytes(bytes.workspace + bytes.gradients),
      },
      { title: 'parameters', spare: 6, align: 'right', cell: ({ bytes }) => format.bytes(bytes.parameters) },
      { title: 'total', align: 'right', cell: ({ bytes }) => format.bytes(bytes.total) },
      { title: 'fits', cell: ({ fits }) => (fits ? 'yes' : style.bad('no')) },
    ],
    rows,
    style,
    reachesText,
  );
  const estimated = rows.filter(({ rehearsed }) => rehearsed < length);
  const best = rows.find(({ mechanism }) => mechanism === recommended.mechanism)!;
  const left = byReason(refused).map(({ names, why }) => style.dim(`${names.join(', ')}: ${why}`));
  const hand = definitions(
    [
      ['scores of one head', `4·n² = ${format.integer(byHand.scoreBytesPerHead)} B`],
      ['scores of all heads', `4·h·n² = ${format.integer(byHand.scoreBytes)} B, one layer`],
      ['queries, keys, values', `12·n·D = ${format.integer(byHand.projectionBytes)} B`],
      ['full attention', `2·n²·D = ${format.integer(byHand.fullMultiplyAdds)} multiply-adds`],
      [
        `window of ${textbookWindow}`,
        `2·n·w·D = ${format.integer(byHand.windowMultiplyAdds)} multiply-adds, borders and self left out`,
      ],
      [`rank ${textbookRank}`, `4·n·k·D = ${format.integer(byHand.lowRankMultiplyAdds)} multiply-adds`],
    ],
    style,
  );
  return [
    `${title}\n`,
    shown,
    ...fold(legend(causal, layers), style.columns).map(style.dim),
    ...(estimated.length === 0 ? [] : fold(estimates(estimated), style.columns).map(style.dim)),
    '',
    ...(left.length === 0 ? [] : [style.bold('Not usable here'), ...left, '']),
    `${style.bold('Recommended')}  ${recommended.mechanism}: ${recommended.why}. ${reachText(best.reach, layers)}\n`,
    style.bold('By hand, one layer and one batch row'),
    hand,
  ].join('\n');
}

const marks: Readonly<Record<Found, string>> = { exact: '', 'at least': '≥ ', 'at most': '≤ ', about: '≈ ' };

const share = ({ share: of, shareIs }: Reach): string =>
  of === null ? 'by data' : `${marks[shareIs]}${format.percent(of)}`;

const wholeIn = ({ by, layers, layersAre }: Reach): string => {
  if (by === 'data') return 'by data';
  if (layers === null) return layersAre === 'exact' ? 'never' : 'unknown';
  return `${marks[layersAre]}${format.integer(layers)}`;
};

const legend = (causal: boolean, layers: number): string =>
  `sees: tokens of ${causal ? 'the last' : 'the middle'} row in one layer; reach: the share of the text that it depends on after ` +
  `${format.count(layers, 'layer')}; whole in: layers until that is the whole text. Rows above the gap reach it and see √n tokens or more; others are not recommended. ` +
  '≥, ≤ and ≈: at least, at most, and continued from the layers that were followed.';

const estimates = (rows: readonly PlanRow[]): string =>
  `Time and bytes are estimates from shorter texts for ${rows.map(({ mechanism }) => mechanism).join(', ')}.`;

/** What a row of the recommended mechanism knows of, in a sentence. */
function reachText(reach: Reach, asked: number): string {
  const { by, tokens, layers } = reach;
  if (by === 'all') return 'A row sees the whole text in every layer.';
  const sees = `A row sees ${format.count(tokens, 'token')} in a layer`;
  if (by === 'data') return `${sees}; which they are depends on the data.`;
  const whole = wholeIn(reach);
  const all =
    layers === null
      ? whole === 'never'
        ? 'never all of it'
        : 'when all of it is not known'
      : `all of it after ${whole}`;
  return `${sees}, and ${share(reach)} of the text after ${format.count(asked, 'layer')}, ${all}.`;
}

const multiplyAdds = (count: number): string =>
  count >= 1e12
    ? `${(count / 1e12).toFixed(2)} T`
    : count >= 1e9
      ? `${(count / 1e9).toFixed(2)} G`
      : `${(count / 1e6).toFixed(2)} M`;

export const plan: Command = {
  summary: 'time and memory before anything runs, and what fits',
  help,
  variants: { train: planTrainingHelp },
  run,
};
