import { inspect } from 'node:util';
import * as errors from '../core/errors.js';
import { unknown as unknownName } from '../core/names.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { printable, printed, type Style, styleFor } from './ansi.js';
import type { Command } from './command.js';
import { foldText } from './fold.js';
import { renderHelp } from './help.js';
import { type Io, isFault, UsageError, type World } from './io.js';
import { version } from './version.js';

/** Each is loaded when it is asked for: all of them together are most of the library. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  compare: async () => (await import('./commands/compare.js')).compare,
  plan: async () => (await import('./commands/plan.js')).plan,
  mechanisms: async () => (await import('./commands/mechanisms.js')).mechanisms,
  show: async () => (await import('./commands/show.js')).show,
  train: async () => (await import('./commands/train.js')).train,
  evaluate: async () => (await import('./commands/evaluate.js')).evaluate,
  extrapolate: async () => (await import('./commands/extrapolate.js')).extrapolate,
  generate: async () => (await import('./commands/generate.js')).generate,
  convert: async () => (await import('./commands/convert.js')).convert,
  run: async () => (await import('./commands/run.js')).runCommand,
  verify: async () => (await import('./commands/verify.js')).verify,
  export: async () => (await import('./commands/export.js')).exportCommand,
  bench: async () => (await import('./commands/bench.js')).bench,
  doctor: async () => (await import('./commands/doctor.js')).doctor,
};

/** Of every command. */
const WIDE = '--wide';

/** The command line without the process around it: 0 done, 1 failed, 2 misused. Messages are one line each. */
export async function commandLine(argv: readonly string[], world: World): Promise<number> {
  const io = ioIn(world, argv.includes(WIDE) ? Infinity : world.outColumns);
  try {
    return await dispatch(
      argv.filter((word) => word !== WIDE),
      io,
    );
  } catch (error) {
    const style = styleFor(io, io.errTerminal);
    io.err(`${style.bad('error')}  ${explain(error, io)}\n`);
    return error instanceof UsageError || error instanceof errors.OptionError ? 2 : 1;
  }
}

/** The one place where text gets out. */
function ioIn(world: World, outColumns: number): Io {
  return {
    ...world,
    outColumns,
    out: (text) => world.out(printed(foldText(text, outColumns), world.outTerminal)),
    err: (text) => world.err(printed(text, world.errTerminal)),
    data: (text) => world.out(world.outTerminal ? printed(text, false) : text),
  };
}

async function dispatch([name, ...rest]: readonly string[], io: Io): Promise<number> {
  const style = styleFor(io, io.outTerminal);
  if (name === '--version' || name === '-v') {
    io.out(`${version()}\n`);
    return 0;
  }
  if (name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    io.out(await overview(style));
    return 0;
  }
  if (name === undefined) {
    io.err(await overview(styleFor(io, io.errTerminal)));
    return 2;
  }
  const wanted = name === 'help' ? rest[0]! : name;
  const load = Object.hasOwn(commands, wanted) ? commands[wanted] : undefined;
  if (load === undefined) throw unknown(wanted);
  const command = await load();
  if (name === 'help' || rest.includes('--help') || rest.includes('-h')) {
    const { variants = {} } = command;
    const word = rest.find((one) => Object.hasOwn(variants, one));
    io.out(renderHelp(word === undefined ? command.help : variants[word]!, style));
    return 0;
  }
  if (!('plugin' in command.help.options)) return command.run(rest, io);
  const { withPlugins } = await import('./plugins.js');
  return withPlugins(`subquad ${wanted}`, rest, io, () => command.run(rest, io));
}

function unknown(name: string): UsageError {
  const kind = name.startsWith('-') ? 'option' : 'command';
  const known = [...Object.keys(commands), '--help', '--version'];
  return new UsageError(`subquad: ${unknownName(kind, [name], known, 'see subquad --help')}.`);
}

async function overview(style: Style): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(11)} ${(await load()).summary}`),
  );
  return `${style.bold('subquad')} ${version()}: long-context attention for TypeScript

${style.bold('Usage')}  subquad <command> [options]

${style.bold('Commands')}
${lines.join('\n')}

  subquad <command> --help   options and examples of one command
  subquad <command> --wide   tables with all columns, however narrow the terminal
  subquad --version
`;
}

/** Longer sentences are the content of some file. */
const LONGEST = 4000;

/** One sentence; the stack only for what nobody foresaw, and only when asked. */
function explain(error: unknown, io: Io): string {
  if (!(error instanceof Error)) return printable(String(error));
  if (io.env['SUBQUAD_DEBUG']) return inspect(error);
  const text = sentence(error);
  // what a compiler says has lines of its own
  const shown = error instanceof errors.DeviceError ? text : printable(text);
  return shown.length <= LONGEST ? shown : `${shown.slice(0, LONGEST)}…`;
}

function sentence(error: Error): string {
  const { syscall, path } = error as NodeJS.ErrnoException;
  if (syscall !== undefined && codeOf(error) !== '') {
    return `subquad: ${path === undefined ? `the system cannot ${syscall}` : `"${path}" cannot be used`} (${reasonOf(error)}).`;
  }
  if (codeOf(error) === 'ERR_INVALID_ARG_VALUE' && error.message.includes('null bytes')) {
    return 'subquad: a path has a byte in it that is 0; no file has such a name.';
  }
  return isFault(error)
    ? `${error.message} (unexpected; SUBQUAD_DEBUG=1 shows where, please report it)`
    : error.message;
}
