import { fileURLToPath } from 'node:url';
import { compare as study } from '../../studies/compare.js';
import { maskGrammar } from '../../studies/mask-names.js';
import { styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import {
  deviceOption,
  longestLength,
  noPositionals,
  readMasks,
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
import { closing, fitLengths, heading, lengthBlock } from './compare-text.js';

const WHO = 'subquad compare';
const BUNDLED = fileURLToPath(new URL('../../../assets/pride-and-prejudice.txt', import.meta.url));

const LENGTHS = [512, 1024, 2048, 4096, 8192, 16384];
/** With the build before it, `npm start` then stays under 90 seconds. */
const SECONDS = 75;

const options = {
  lengths: {
    takes: 'integers',
    value: 'N,…',
    range: [1, longestLength],
    help: 'sequence lengths; one byte of the text is one position;\ndefault 512,1024,2048,4096,8192,16384',
  },
  seconds: {
    takes: 'integer',
    value: 'N',
    range: [1, 1_000_000],
    help: `begin no length that might end later; default ${SECONDS}, with --lengths none`,
  },
  masks: {
    takes: 'words',
    value: 'MASK,…',
    default: [
      'none',
      'causal',
      'radius:256',
      'causal-window:512',
      'dilated:4:128',
      'strided:128',
      'fixed:128:16',
      'radius:256+global:16',
      'bigbird:64',
    ],
    help: 'what to run beside standard attention, see below',
  },
  heads: { takes: 'integer', value: 'N', range: [1, 256], default: 4, help: 'attention heads' },
  'head-dim': { takes: 'integer', value: 'N', range: [1, 256], default: 64, help: 'size of a head' },
  device: deviceOption,
  threads: threadsOption,
  seed: seedOption,
  memory: {
    takes: 'integer',
    value: 'GB',
    range: [1, 65536],
    help: "most memory for standard attention's n×n matrices;\ndefault half of the machine's, less where less is free",
  },
  report: { takes: 'text', value: 'FILE.html', default: 'subquad-report.html', help: 'where the report goes' },
  json: { takes: 'text', value: 'FILE', help: 'write all numbers there; - is stdout' },
} as const;

const help: HelpText = {
  usage: `${WHO} [file] [options]`,
  about:
    'Which attention, at which length, on this machine, with what error and memory? Runs standard attention, exact fused\n' +
    'attention and masks on features of a text (default: the bundled novel), prints a table and writes an HTML report.',
  options,
  notes: maskGrammar,
  examples: [
    [WHO, 'the bundled document'],
    [`${WHO} notes.txt --lengths 1000,2000,4000`, 'your own text'],
    [`${WHO} --masks none,radius:64,radius:512 --report windows.html`, 'how wide must the window be?'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals, 1);
  const masks = readMasks(WHO, values.masks);
  const wanted = values.lengths ?? LENGTHS;
  const text = readText(WHO, positionals[0] ?? BUNDLED, Math.max(...wanted), io);
  const json = jsonOutput(WHO, values.json, io);
  const file = new OutputFile(WHO, 'report', values.report, io);
  const { lengths, note } = fitLengths(wanted, text.size);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const progress = new Progress(io);
  const result = await withDevice(WHO, values, (device) => {
    const { heads, 'head-dim': headDim, seed } = values;
    const memoryLimit = values.memory === undefined ? roomOfMachine() : values.memory * 1e9;
    say(heading(device.info, { document: text.name, size: text.size, heads, headDim, note }, style));
    return study(
      device,
      { name: text.name, bytes: text.bytes },
      {
        lengths,
        heads,
        headDim,
        masks,
        seed,
        memoryLimit,
        seconds: values.seconds ?? (values.lengths === undefined ? SECONDS : undefined),
        onProgress: (what) => progress.show(what),
        onLength(rows) {
          progress.clear();
          say(lengthBlock(rows, style));
        },
      },
    ).finally(() => progress.clear());
  });
  say(closing(result, style));
  const command = ['subquad', 'compare', ...argv].join(' ');
  file.write(report(result, { command, note, version: version() }));
  json?.write(result);
  say(`report  ${style.accent(file.path)}\n`);
  return result.rows.every(({ check }) => check === null || check.ok) ? 0 : 1;
}

export const compare: Command = {
  summary: 'standard, exact fused and masked attention on a text: time, memory, error, and a report',
  help,
  run,
};
