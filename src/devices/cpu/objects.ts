import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';
import { DeviceError } from '../../core/errors.js';
import { compileNow, compileSoon, type Ended } from './compile.js';
import { type Compiler, firstLines } from './compiler.js';
import { isSealed, publish, SEAL } from './seal.js';

const SUFFIX = platform() === 'win32' ? '.dll' : platform() === 'darwin' ? '.dylib' : '.so';
/**
 * What a kernel may take of the C library (memcpy, floorf) is in the process already. Linux resolves it there, so nothing is
 * linked: a quarter of the time of a small kernel.
 */
const LIBRARIES = platform() === 'linux' ? '-nostdlib' : '-lm';
const MESSAGE_LINES = 12;
/** What compiling left behind stays this long, for people who look at a source that failed. */
const LEFT_MILLISECONDS = 24 * 3600e3;

interface Attempt {
  readonly name: string;
  readonly source: string;
  readonly path: string;
  readonly temporary: string;
  readonly args: readonly string[];
}

/**
 * Shared objects compiled from C text, kept in a folder under the hash of everything they depend on. An object is
 * compiled under a temporary name and then renamed, so a reader never sees half of one, and processes that compile
 * the same text at the same time do not disturb each other. Beside it lies its seal, the length and SHA-256 of what was
 * compiled: a file that a crash, a full disk or somebody else changed would be run as it is, so it is compiled again.
 */
export class Objects {
  readonly #compiler: Compiler;
  readonly #folder: string;

  constructor(compiler: Compiler, folder: string) {
    this.#compiler = compiler;
    this.#folder = folder;
    tidy(folder);
  }

  /** Path of the object compiled from `source`, compiling it now if it is not in the folder as it was made. */
  get(name: string, source: string): string {
    const path = this.path(name, source);
    if (isSealed(path)) return path;
    const attempt = this.#attempt(name, source, path);
    return this.#keep(attempt, compileNow(this.#compiler.command, attempt.args, source));
  }

  /** The same, without blocking this thread. */
  async compile(name: string, source: string): Promise<string> {
    const path = this.path(name, source);
    if (isSealed(path)) return path;
    const attempt = this.#attempt(name, source, path);
    return this.#keep(attempt, await compileSoon(this.#compiler.command, attempt.args, source));
  }

  /** Removes an object that turned out not to load. */
  discard(path: string): void {
    rmSync(path, { force: true });
  }

  path(name: string, source: string): string {
    const hash = createHash('sha256').update(this.#compiler.identity).update('\0').update(source).digest('hex');
    // the name is for people who look into the folder
    return join(this.#folder, `${name.replaceAll(/[^A-Za-z0-9]+/g, '-').slice(0, 40)}-${hash.slice(0, 40)}${SUFFIX}`);
  }

  #attempt(name: string, source: string, path: string): Attempt {
    const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
    const args = [...this.#compiler.flags, '-x', 'c', '-', '-o', temporary, LIBRARIES];
    return { name, source, path, temporary, args };
  }

  /** The path of what was compiled. @throws DeviceError that says what went wrong, and leaves the source to look at. */
  #keep({ name, source, path, temporary, args }: Attempt, { failure, signal, message }: Ended): string {
    const remedy = `Set CC to another compiler, or use kind: 'wasm'.`;
    try {
      if (failure === undefined) return publish(temporary, path);
    } catch (error) {
      message = `It reports no error, but made no object that can be kept (${String(error)}).`;
    }
    for (const file of [temporary, temporary + SEAL]) rmSync(file, { force: true });
    // nothing is wrong with the source
    if (signal) throw new DeviceError(`${name}: the C compiler was stopped by ${signal}; run it again. ${remedy}`);
    const kept = `${path}.failed.c`;
    try {
      writeFileSync(kept, source);
    } catch {
      // a full disk may be the very reason
    }
    const command = `The command was: ${this.#compiler.command} ${args.join(' ')} < ${kept}`;
    const lines = firstLines(message, MESSAGE_LINES);
    throw new DeviceError(`${name}: the C compiler failed.\n${lines}\n${command}\n${remedy}`, { cause: failure });
  }
}

/** Removes what compilers that were stopped, or that failed long ago, have left. */
function tidy(folder: string): void {
  const before = Date.now() - LEFT_MILLISECONDS;
  try {
    for (const name of readdirSync(folder)) {
      if (!name.includes(`${SUFFIX}.`) || name.endsWith(SUFFIX + SEAL)) continue;
      const path = join(folder, name);
      if (lstatSync(path).mtimeMs < before) rmSync(path, { force: true });
    }
  } catch {
    // somebody else was quicker; a folder that cannot be read will show when it is used
  }
}
