import { compare as study } from '../../studies/compare.js';
import { shapeOf } from '../../studies/compare-scene.js';
import { BUNDLED_TEXT } from '../../studies/bundled.js';
import { printable, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { noPositionals, roomOfMachine, withDevice } from '../common-options.js';
import { OutputFile } from '../files.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { jsonOutput } from '../json-output.js';
import type { Command } from '../command.js';
import { Progress } from '../progress.js';
import { report } from '../../report/report.js';
import { readText } from '../text-file.js';
import { version } from '../version.js';
import { planFeatures } from './compare-features.js';
import { mechanismNotes, readVariants } from './compare-mechanisms.js';
import { checkCombination, type CompareValues, options, SECONDS } from './compare-options.js';
import { comparePerplexities } from './compare-perplexity.js';
import { closing, fitLengths, heading, lengthBlock } from './compare-text.js';

const WHO = 'subquad compare';

const LENGTHS = [512, 1024, 4096, 8192, 16384];

const help: HelpText = {
  usage: `${WHO} [file] [options]`,
  about:
    'Which attention, at which length, on this machine, with what error and memory? Runs mechanisms beside standard attention\n' +
    'and flash on the queries, keys and values of a trained model at a text (default: the bundled model and novel), prints a\n' +
    'table and writes an HTML report. With --task perplexity, the model itself attends by each of them, without being\n' +
    'trained again: what does that cost in bits per byte?',
  options,
  notes: mechanismNotes,
  examples: [
    [WHO, 'the bundled model and document'],
    [`${WHO} notes.txt --lengths 1000,2000,4000`, 'your own text'],
    [`${WHO} --model subquad-run --layer 1 --layer-heads 1,3 --causal`, 'two heads of a model of your own'],
    [
      `${WHO} --task perplexity --mechanisms sliding-window:radius=32,performer`,
      'other attention in the bundled model',
    ],
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
  const text = readText(WHO, path ?? BUNDLED_TEXT, Math.max(...wanted), io);
  const { lengths, note } = fitLengths(wanted, text.size);
  const features = planFeatures(WHO, values, Math.max(...lengths), io);
  const { heads, headDim } = features;
  const variants = readVariants(WHO, values, shapeOf(heads, headDim, Math.max(...wanted)));
  const json = jsonOutput(WHO, values.json, io);
  const file = new OutputFile(WHO, 'report', values.report, io);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const progress = new Progress(io);
  const result = await withDevice(WHO, values, async (device) => {
    const { seed, causal, training } = values;
    progress.show('making queries, keys and values');
    const made = await features.make(device, text.bytes.subarray(0, Math.max(...lengths)));
    progress.clear();
    const about = { document: text.name, size: text.size, heads, headDim, causal, training, note, features: made.note };
    say(heading(device.info, about, style));
    return study(
      device,
      { name: text.name, bytes: text.bytes, features: made },
      {
        lengths,
        variants,
        causal,
        training,
        seed,
        // what making the features took is free again
        memoryLimit: values.memory === undefined ? roomOfMachine() : values.memory * 1e9,
        seconds: values.seconds ?? (values.lengths === undefined ? SECONDS : undefined),
        onProgress: (what) => progress.show(what),
        onLength(rows) {
          progress.clear();
          say(lengthBlock(rows, { causal, training }, style));
        },
      },
    );
  }).finally(() => progress.clear());
  say(closing(result, style));
  file.write(report(result, { command, note, version: version() }));
  json?.write(result);
  say(`report  ${style.accent(printable(file.path))}\n`);
  return result.rows.some(({ failed }) => failed) ? 1 : 0;
}

export const compare: Command = {
  summary: 'mechanisms on a text: time, memory, error, bits per byte, and a report',
  help,
  run,
};
