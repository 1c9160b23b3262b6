import { adapterOrWhy } from '../../devices/webgpu/open.js';
import { openCache } from '../../devices/cpu/cache.js';
import { jsonOutput } from '../json-output.js';
import { machine } from '../../studies/machine.js';
import { doubtOf, measurePeak, type Peak } from '../../studies/peak.js';
import { styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { deviceOption, noPositionals, threadsOption, withDevice, jsonBeforeWords } from '../common-options.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import type { Io } from '../io.js';
import { Progress } from '../progress.js';
import type { Command } from '../command.js';
import { definitions } from '../table.js';

const WHO = 'subquad doctor';

const options = {
  device: deviceOption,
  threads: threadsOption,
  json: jsonBeforeWords,
} as const;

const help: HelpText = {
  usage: `${WHO} [options]`,
  about: 'What this machine offers: cores, SIMD, compiler, which device is used and why, and its measured peaks.',
  options,
  examples: [
    [WHO, 'the device that other commands use by default'],
    [`${WHO} --device wasm --threads 1`, 'WebAssembly, one thread'],
    [`${WHO} --json > machine.json`, 'for a bug report'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals);
  const json = jsonOutput(WHO, values.json, io);
  const progress = new Progress(io);
  progress.show('measuring the peak of the machine');
  return withDevice(WHO, values, async (device) => {
    const webgpu = await adapterOrWhy();
    const found = { machine: machine(device), peak: await measurePeak(device), cache: openCache().folder, webgpu };
    progress.clear();
    if (json) json.write(found);
    else io.out(render(found, io));
    return 0;
  });
}

interface Found {
  readonly machine: ReturnType<typeof machine>;
  readonly peak: Peak;
  readonly cache: string;
  /** The adapter of WebGPU, or why there is none. */
  readonly webgpu: string;
}

function render({ machine, peak, cache, webgpu }: Found, io: Io): string {
  const style = styleFor(io, io.outTerminal);
  const { device } = machine;
  const onGpu = device.kind === 'webgpu';
  const lanes = `${32 * device.width}-bit vectors, ${device.width} floats${device.fusedMultiplyAdd ? ', fused multiply-add' : ''}`;
  const pairs: (readonly [string, string])[] = [
    ['processor', machine.cpu],
    ['cores', `${machine.cores}`],
    ['memory', format.bytes(machine.memoryBytes)],
    ['system', `${machine.system}, Node ${machine.node}`],
    ['device', style.bold(device.kind)],
    ...(onGpu
      ? ([['vectors', `${format.count(device.width, 'lane')}, each an invocation`]] as const)
      : ([
          ['SIMD', lanes],
          ['threads', `${device.threads}`],
        ] as const)),
    ['WebGPU', webgpu],
    ['compiler', device.compiler ?? 'not used'],
    ['cache', device.kind === 'native' ? cache : `${cache} (not used)`],
    ...(device.memoryLimit === undefined ? [] : ([['memory limit', format.bytes(device.memoryLimit)]] as const)),
    ['peak', `${format.gflops(peak.gflops)} GFLOP/s (${format.gflops(peak.gflopsOneThread)} on one thread)`],
    ['bandwidth', `${format.gflops(peak.gigabytesPerSecond)} GB/s read and written`],
  ];
  const why = device.reasons.map((reason) => `  ${reason}\n`).join('');
  // the two estimates are of a processor's pipelines
  const doubt = onGpu ? undefined : doubtOf(peak);
  const fault = doubt === undefined ? '' : `${style.bad(doubt)}\n`;
  return `${definitions(pairs, style)}\n${fault}${style.bold('Why this device')}\n${why}`;
}

export const doctor: Command = {
  summary: 'cores, SIMD, compiler, device and measured peaks of this machine',
  help,
  run,
};
