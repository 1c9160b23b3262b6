import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DeviceError } from '../../core/errors.js';
import { type Compiler, firstLines } from './compiler.js';

const execute = promisify(execFile);
const SUFFIX = platform() === 'win32' ? '.dll' : platform() === 'darwin' ? '.dylib' : '.so';
const LONGEST_COMPILE = 120_000;
const MESSAGE_LINES = 12;

/**
 * Shared objects compiled from C text, kept in a folder under the hash of everything they depend on. An object is
 * compiled under a temporary name and then renamed, so a reader never sees half of one, and processes that compile
 * the same text at the same time do not disturb each other.
 */
export class Objects {
  readonly #compiler: Compiler;
  readonly #folder: string;

  constructor(compiler: Compiler, folder: string) {
    this.#compiler = compiler;
    this.#folder = folder;
  }

  /** Path of the object compiled from `source`, compiling it now if it is not in the folder. */
  get(name: string, source: string): string {
    const path = this.path(name, source);
    if (existsSync(path)) return path;
    const { command } = this.#compiler;
    const [temporary, args] = this.#prepare(path);
    try {
      execFileSync(command, args, { input: source, stdio: 'pipe', timeout: LONGEST_COMPILE, maxBuffer: 2 ** 26 });
    } catch (error) {
      throw this.#failure(name, source, args, path, error);
    }
    return publish(temporary, path);
  }

  /** The same, without blocking this thread. */
  async compile(name: string, source: string): Promise<string> {
    const path = this.path(name, source);
    if (existsSync(path)) return path;
    const { command } = this.#compiler;
    const [temporary, args] = this.#prepare(path);
    try {
      const running = execute(command, args, { timeout: LONGEST_COMPILE, maxBuffer: 2 ** 26 });
      running.child.stdin?.end(source);
      await running;
    } catch (error) {
      throw this.#failure(name, source, args, path, error);
    }
    return publish(temporary, path);
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

  #prepare(path: string): [temporary: string, args: string[]] {
    const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
    return [temporary, [...this.#compiler.flags, '-x', 'c', '-', '-o', temporary, '-lm']];
  }

  #failure(name: string, source: string, args: readonly string[], path: string, error: unknown): DeviceError {
    const { stderr, code } = error as { stderr?: string | Buffer; code?: unknown };
    const message = firstLines(String(stderr ?? '') || String(error), MESSAGE_LINES);
    rmSync(args[args.indexOf('-o') + 1]!, { force: true });
    const kept = `${path}.failed.c`;
    try {
      writeFileSync(kept, source);
    } catch {
      // a full disk may be the very reason
    }
    return new DeviceError(
      `${name}: the C compiler failed${code === 'ETIMEDOUT' ? ' (it took too long)' : ''}.\n${message}\n` +
        `The command was: ${this.#compiler.command} ${args.join(' ')} < ${kept}\n` +
        `Set CC to another compiler, or use kind: 'wasm'.`,
      { cause: error },
    );
  }
}

function publish(temporary: string, path: string): string {
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    // Windows refuses to replace an object that another process has loaded; it is the same object
    if (!existsSync(path)) throw new DeviceError(`${path} cannot be written (${String(error)}).`, { cause: error });
  }
  return path;
}
