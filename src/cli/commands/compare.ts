import { fileURLToPath } from 'node:url';
import { compare as study } from '../../studies/compare.js';
import { shapeOf } from '../../studies/compare-scene.js';
import { styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import {
  deviceOption,
  longestLength,
  noPositionals,
  roomOfMachine,
  seedOption,
  threadsOption,
  withDevice,
} from '../common-options.js';
import { OutputFile } from '../files.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { jsonOutput } from '../json-output.js';
import type { Command } from '../program.js';
import { Progress } from '../progress.js';
import { report } from '../report/report.js';
import { readText } from '../text-file.js';
import { version } from '../version.js';
import { mechanismNotes, mechanismOptions, readVariants } from './compare-mechanisms.js';
import { closing, fitLengths, heading, lengthBlock } from './compare-text.js';

const WHO = 'subquad compare';
const BUNDLED = fileURLToPath(new URL('../../../assets/pride-and-prejudice.txt', import.meta.url));

const LENGTHS = [512, 2048, 4096, 8192, 16384];
/** With the build before it, `npm start` then stays under 90 seconds. */
const SECONDS = 75;

const options = {
  lengths: {
    takes: 'integers',
    value: 'N,…',
    range: [1, longestLength],
    help: 'sequence lengths; one byte of the text is one position;\ndefault 512,2048,4096,8192,16384',
  },
  seconds: {
    takes: 'integer',
    value: 'N',
    range: [1, 1_000_000],
    help: `begin no length that might end later; default ${SECONDS}, with --lengths none`,
  },
  ...mechanismOptions,
  causal: { takes: 'nothing', help: 'keys up to the query only' },
  training: { takes: 'nothing', help: 'forward and backward instead of forward alone' },
  heads: { takes: 'integer', value: 'N', range: [1, 256], default: 4, help: 'attention heads' },
  'head-dim': { takes: 'integer', value: 'N', range: [1, 256], default: 64, help: 'size of a head' },
  device: deviceOption,
  threads: threadsOption,
  seed: seedOption,
  memory: {
    takes: 'integer',
    value: 'GB',
    range: [1, 65536],
    help: "most memory that a mechanism may hold;\ndefault half of the machine's, less where less is free",
  },
  report: { takes: 'text', value: 'FILE.html', default: 'subquad-report.html', help: 'where the report goes' },
  json: { takes: 'text', value: 'FILE', help: 'write all numbers there; - is stdout' },
} as const;

const help: HelpText = {
  usage: `${WHO} [file] [options]`,
  about:
    'Which attention, at which length, on this machine, with what error and memory? Runs mechanisms beside standard attention\n' +
    'and flash on features of a text (default: the bundled novel), prints a table and writes an HTML report.',
  options,
  notes: mechanismNotes,
  examples: [
    [WHO, 'the bundled document'],
    [`${WHO} notes.txt --lengths 1000,2000,4000`, 'your own text'],
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
  const wanted = values.lengths ?? LENGTHS;
  const variants = readVariants(WHO, values, shapeOf(values.heads, values['head-dim'], Math.max(...wanted)));
  const text = readText(WHO, positionals[0] ?? BUNDLED, Math.max(...wanted), io);
  const json = jsonOutput(WHO, values.json, io);
  const file = new OutputFile(WHO, 'report', values.report, io);
  const { lengths, note } = fitLengths(wanted, text.size);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const progress = new Progress(io);
  const result = await withDevice(WHO, values, (device) => {
    const { heads, 'head-dim': headDim, seed, causal, training } = values;
    const memoryLimit = values.memory === undefined ? roomOfMachine() : values.memory * 1e9;
    say(heading(device.info, { document: text.name, size: text.size, heads, headDim, causal, training, note }, style));
    return study(
      device,
      { name: text.name, bytes: text.bytes },
      {
        lengths,
        heads,
        headDim,
        variants,
        causal,
        training,
        seed,
        memoryLimit,
        seconds: values.seconds ?? (values.lengths === undefined ? SECONDS : undefined),
        onProgress: (what) => progress.show(what),
        onLength(rows) {
          progress.clear();
          say(lengthBlock(rows, { causal, training }, style));
        },
      },
    ).finally(() => progress.clear());
  });
  say(closing(result, style));
  const command = ['subquad', 'compare', ...argv].join(' ');
  file.write(report(result, { command, note, version: version() }));
  json?.write(result);
  say(`report  ${style.accent(file.path)}\n`);
  return result.rows.some(({ failed }) => failed) ? 1 : 0;
}

export const compare: Command = {
  summary: 'mechanisms on a text: time, memory, error, and a report',
  help,
  run,
};
