import type { BenchRow } from '../../studies/bench-case.js';
import { bench as study, convention } from '../../studies/bench.js';
import { maskGrammar } from '../../studies/mask-names.js';
import { type Style, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import {
  deviceOption,
  longestLength,
  noPositionals,
  readMasks,
  seedOption,
  threadsOption,
  withDevice,
  jsonOption,
} from '../common-options.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import type { Command } from '../command.js';
import { Progress } from '../progress.js';
import { table } from '../table.js';

const WHO = 'subquad bench';

const options = {
  device: deviceOption,
  threads: threadsOption,
  batch: { takes: 'integer', value: 'N', range: [1, 65536], default: 1, help: 'batch size' },
  heads: { takes: 'integer', value: 'N', range: [1, 1024], default: 4, help: 'heads of attend' },
  'head-dim': { takes: 'integer', value: 'N', range: [1, 256], default: 64, help: 'size of a head' },
  length: {
    takes: 'integers',
    value: 'N,…',
    range: [1, longestLength],
    default: [1024, 4096],
    help: 'sequence lengths; sides of the matrices of matmul',
  },
  mask: {
    takes: 'words',
    value: 'MASK,…',
    default: ['none', 'causal', 'within:radius=256'],
    help: 'masks of attend, see below',
  },
  pass: {
    takes: 'choices',
    choices: ['forward', 'forward+backward'],
    default: ['forward', 'forward+backward'],
    help: 'which passes',
  },
  rounds: { takes: 'integer', value: 'N', range: [1, 1000], default: 5, help: 'timed runs; medians are reported' },
  seed: seedOption,
  json: { ...jsonOption, help: 'write machine, peak and rows to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} [matmul|attend] [options]`,
  about: 'Measures speed, share of the measured peak, and memory. A result that is wrong is reported, never timed.',
  options,
  notes: maskGrammar,
  examples: [
    [`${WHO} attend`, 'attention, forward and backward'],
    [
      `${WHO} attend --device native --threads 1 --length 4096 --mask none,causal,within:radius=256 --json out.json`,
      'one thread, three masks, also as JSON',
    ],
    [`${WHO} matmul --device wasm --length 512,1024`, 'matrix products in WebAssembly'],
  ],
};

const OPS = ['matmul', 'attend'] as const;

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals, 1);
  const [op] = positionals;
  if (op !== undefined && !OPS.includes(op as 'matmul')) {
    throw new UsageError(`${WHO}: there is a benchmark of matmul and one of attend; got "${op}".`);
  }
  const masks = readMasks(WHO, values.mask);
  const json = jsonOutput(WHO, values.json, io);
  const progress = new Progress(io);
  const result = await withDevice(WHO, values, (device) =>
    study(device, {
      ops: op === undefined ? OPS : [op as 'matmul'],
      batch: values.batch,
      heads: values.heads,
      headDim: values['head-dim'],
      lengths: values.length,
      masks,
      passes: values.pass as readonly BenchRow['pass'][],
      rounds: values.rounds,
      seed: values.seed,
      onProgress: (text) => progress.show(text),
    }).finally(() => progress.clear()),
  );
  if (json?.standard !== true) {
    const style = styleFor(io, io.outTerminal);
    const { machine, peak } = result;
    io.out(
      `${style.bold(machine.cpu)}, Node ${machine.node}, ${format.place({ kind: peak.device, threads: peak.threads })}\n`,
    );
    io.out(
      `peak ${format.gflops(peak.gflops)} GFLOP/s, ${format.gflops(peak.gigabytesPerSecond)} GB/s; ` +
        `medians of ${format.count(values.rounds, 'round')} in turns\n${style.dim(convention)}\n\n`,
    );
    io.out(render(result.rows, style));
    for (const fault of result.faults) io.out(`\n${style.bad(fault)}\n`);
  }
  json?.write(result);
  return result.rows.every(({ checked }) => checked) ? 0 : 1;
}

function render(rows: readonly BenchRow[], style: Style): string {
  return table<BenchRow>(
    [
      { title: 'op', cell: ({ op }) => op },
      { title: 'mask', spare: 1, cell: ({ op, mask, causal }) => (op === 'matmul' ? '' : maskText(mask, causal)) },
      { title: 'pass', cell: ({ pass }) => pass },
      { title: 'length', align: 'right', cell: ({ length }) => format.integer(length) },
      { title: 'time', align: 'right', cell: ({ milliseconds: ms }) => (ms === null ? '' : format.milliseconds(ms)) },
      {
        title: 'GFLOP/s',
        align: 'right',
        spare: 3,
        cell: ({ gflops }) => (gflops === null ? '' : format.gflops(gflops)),
      },
      {
        title: 'of peak',
        spare: 2,
        align: 'right',
        cell: ({ peakShare }) => (peakShare === null ? '' : format.percent(peakShare)),
      },
      { title: 'workspace', align: 'right', spare: 4, cell: ({ ledgerBytes }) => format.bytes(ledgerBytes) },
      {
        title: 'checked',
        cell: ({ checked }) => (checked ? style.good('ok') : style.bad('wrong, not timed')),
      },
    ],
    rows,
    style,
    ({ op, length }) => `${op} ${length}`,
  );
}

const maskText = (mask: string, causal: boolean): string =>
  !causal ? mask : mask === 'none' ? 'causal' : `${mask}/causal`;

export const bench: Command = { summary: 'measure matmul and attend: time, share of peak, memory', help, run };
