import { shapeOf } from '../../studies/compare-scene.js';
import { BUNDLED_TEXT } from '../../studies/bundled.js';
import type { Variant } from '../../studies/mechanisms.js';
import { printable, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { noPositionals, withDevice } from '../common-options.js';
import { OutputFile } from '../files.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { jsonOutput } from '../json-output.js';
import type { Command } from '../command.js';
import { type Direction, headline } from '../../report/choice.js';
import { report } from '../../report/report.js';
import { readText } from '../text-file.js';
import { version } from '../version.js';
import { runDirection } from './compare-direction.js';
import { type DirectionPlan, planDirections } from './compare-features.js';
import { mechanismNotes, readVariants } from './compare-mechanisms.js';
import { checkCombination, type CompareValues, options, SCORED_BESIDE, SECONDS, wantsText } from './compare-options.js';
import { comparePerplexities } from './compare-perplexity.js';
import { closing, fitLengths } from './compare-text.js';

const WHO = 'subquad compare';

const LENGTHS = [512, 2048, 16384];
/** Bytes of a text that are read where models adapt to it. */
const ADAPTED = 2 ** 22;

const help: HelpText = {
  usage: `${WHO} [file] [options]`,
  about:
    'Which attention, at which length, on this machine, at what cost? Runs mechanisms beside standard attention and flash on the\n' +
    'queries, keys and values of trained models at a text (default: the bundled models and novel), a causal one and one that sees all\n' +
    'pairs; lets the models attend by each mechanism and counts the bits that are lost; says what to take, prints tables and writes\n' +
    'an HTML report. --task perplexity looks at the bits more closely.',
  options,
  notes: mechanismNotes,
  examples: [
    [WHO, 'the bundled models and document'],
    [`${WHO} notes.txt --lengths 1000,2000,4000`, 'your own text'],
    [`${WHO} --model subquad-run --layer 1 --layer-heads 1,3 --causal`, 'two heads of a model of your own'],
    [
      `${WHO} --task perplexity --mechanisms sliding-window:radius=32,performer`,
      'other attention in the bundled model',
    ],
    [`${WHO} --mechanisms linformer,performer --all-pairs --adapt 100`, 'what is left of the loss after 100 steps'],
    [`${WHO} --mechanisms all --lengths 2048 --causal --training`, 'a training step of everything that is causal'],
    [
      `${WHO} --mechanisms chunked:keyChunk=512,chunked:keyChunk=4096 --report chunks.html`,
      'one mechanism with different options',
    ],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals, 1);
  checkCombination(WHO, values);
  const command = ['subquad', 'compare', ...argv].join(' ');
  const how = { who: WHO, file: positionals[0], command };
  return values.task === 'perplexity' ? comparePerplexities(values, how, io) : compareAttention(values, how, io);
}

async function compareAttention(
  values: CompareValues,
  { file: path, command }: { readonly file: string | undefined; readonly command: string },
  io: Io,
): Promise<number> {
  const wanted = values.lengths ?? LENGTHS;
  // a window of a model has a target behind its last byte; what follows is adapted to
  const scored = wantsText(values) ? 0 : 1 + (values['max-bytes'] ?? SCORED_BESIDE);
  const most = Math.max(...wanted, values.adapt === undefined ? scored : Math.max(scored, ADAPTED));
  const text = readText(WHO, path ?? BUNDLED_TEXT, most, io);
  const { lengths, note } = fitLengths(wanted, text.size);
  const plans = planDirections(WHO, values, Math.max(...lengths), io).map((plan) => ({
    plan,
    variants: variantsIn(plan, values, Math.max(...wanted)),
  }));
  const json = jsonOutput(WHO, values.json, io);
  const file = new OutputFile(WHO, 'report', values.report, io);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const ground = { text, bundled: path === undefined, lengths, note, values, say, io };
  const directions = await withDevice(WHO, values, async (device) => {
    const limit = values.seconds ?? (values.lengths === undefined && values.adapt === undefined ? SECONDS : undefined);
    const begin = performance.now();
    const found: Direction[] = [];
    for (const [i, { plan, variants }] of plans.entries()) {
      const left = limit && (limit - (performance.now() - begin) / 1000) / (plans.length - i);
      found.push(await runDirection(device, plan, variants, left, { ...ground, first: i === 0 }));
    }
    return found;
  });
  say(closing(directions, style));
  file.write(report(directions, { command, note, version: version() }));
  json?.write({ headline: directions.flatMap(headline), directions });
  say(`report  ${style.accent(printable(file.path))}\n`);
  return directions.some(({ comparison }) => comparison.rows.some(({ failed }) => failed)) ? 1 : 0;
}

/** What is compared in a direction: a mechanism that sees the past only is none of all pairs, where the past is compared too. */
function variantsIn({ causal, heads, headDim }: DirectionPlan, values: CompareValues, longest: number): Variant[] {
  const all = readVariants(WHO, values, shapeOf(heads, headDim, longest));
  const alone = values.causal || values['all-pairs'] || values.model !== undefined;
  if (alone) return all;
  const other = causal ? false : 'only';
  return all.filter(({ mechanism }) => mechanism.definition.supports.causal !== other);
}

export const compare: Command = {
  summary: 'mechanisms on a text: time, memory, error, bits per byte, and a report',
  help,
  run,
};
