import { memoised } from '../../core/memo.js';
import { execFile } from 'node:child_process';
import { arch, cpus, endianness } from 'node:os';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A C compiler of this machine and how to call it. */
export interface Compiler {
  readonly command: string;
  /** Everything before the input file. Never -ffast-math: it breaks range-reduced functions (errors of 2e-2). */
  readonly flags: readonly string[];
  /** First line of `--version`. */
  readonly version: string;
  /** f32 lanes of one vector register of the target. */
  readonly width: 4 | 8 | 16;
  readonly fusedMultiplyAdd: boolean;
  /** Text that changes whenever compiled code might: compiler, flags, processor, target macros. */
  readonly identity: string;
}

const FLAGS = ['-O2', '-ffp-contract=fast', '-fno-math-errno', '-fno-trapping-math', '-shared', '-fPIC'];
/** Tuned for some processors, gcc takes chains of multiply-adds of up to 256 bits apart: sums that are equal by their texts would differ. */
const WHOLE_CHAINS = '--param=avoid-fma-max-bits=0';
/** Compilers differ in which of these they accept: some on ARM know only -mcpu, and only gcc for x86 knows the parameter. */
const TARGETS = [
  ['-march=native', WHOLE_CHAINS],
  ['-march=native'],
  ['-mcpu=native', WHOLE_CHAINS],
  ['-mcpu=native'],
  [],
];

/** The compiler named by CC, else the first of cc, gcc, clang that works; or a sentence that says why there is none. */
export const findCompiler = (env: NodeJS.ProcessEnv = process.env): Promise<Compiler | string> =>
  search(env['CC']?.trim() ?? '', env);

const search = memoised(look, { by: (named, env) => [named, env['PATH']] });

async function look(named: string, env: NodeJS.ProcessEnv): Promise<Compiler | string> {
  if (endianness() !== 'LE' || !['x64', 'arm64', 'riscv64', 'loong64'].includes(arch())) {
    return `native kernels need a little-endian 64-bit processor; this one is ${arch()}.`;
  }
  if (named) {
    // CC may carry arguments: "ccache gcc", "gcc -m64"
    const [command, ...args] = named.split(/\s+/);
    const compiler = await probe(command!, args, env);
    if (typeof compiler !== 'string') return compiler;
    return `CC is set to "${named}", which does not work (${compiler}); correct CC or unset it.`;
  }
  for (const command of ['cc', 'gcc', 'clang']) {
    const compiler = await probe(command, [], env);
    if (typeof compiler !== 'string') return compiler;
  }
  return 'no C compiler was found (tried CC, cc, gcc, clang); install gcc or clang, or set CC.';
}

/** Asks a compiler for its version and for the macros of the target; a string says what went wrong. */
async function probe(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Compiler | string> {
  const ask = async (rest: readonly string[]): Promise<string> => {
    const running = execute(command, [...args, ...rest], { env, timeout: 20_000, maxBuffer: 2 ** 24 });
    running.child.stdin?.end();
    return (await running).stdout;
  };
  try {
    const [text, [target, macros]] = await Promise.all([ask(['--version']), firstTarget(ask)]);
    // some programs answer anything: true, echo
    if (!macros.includes('#define ')) return 'it names no macros of its target, as a C compiler does for -dM -E';
    const has = (macro: string): boolean => macros.includes(`#define ${macro} `);
    const width = has('__AVX512F__') ? 16 : has('__AVX2__') && has('__FMA__') ? 8 : 4;
    // compilers prefer 256 bits on some processors that have 512; the generated code says what it wants
    const wide = width === 16 ? ['-mprefer-vector-width=512'] : [];
    const flags = [...args, ...FLAGS, ...target, ...wide];
    return {
      command,
      flags,
      version: text.split('\n', 1)[0]!.trim(),
      width,
      fusedMultiplyAdd: has('__FMA__') || has('__ARM_FEATURE_FMA') || has('__riscv_f'),
      identity: JSON.stringify([command, text, flags, cpus()[0]?.model ?? '', macros]),
    };
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    return code === 'ENOENT' ? 'command not found' : firstLines(stderr || String(error), 1);
  }
}

async function firstTarget(ask: (rest: readonly string[]) => Promise<string>): Promise<[readonly string[], string]> {
  let failure: unknown;
  for (const target of TARGETS) {
    try {
      return [target, await ask([...target, '-dM', '-E', '-x', 'c', '-'])];
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

export function firstLines(text: string, lines: number): string {
  return text.trim().split('\n').slice(0, lines).join('\n');
}
