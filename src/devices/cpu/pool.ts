import { DeviceError } from '../../core/errors.js';
import { COMMAND, CONTROL_BYTES, LAYOUT, MAILBOX_BYTES, PART, STATE, WORD } from './control.js';
import { parallelism, spawnWorker, type WorkerHandle } from './host.js';
import type { Run, WorkerCode } from './worker.js';

/** A compiled kernel: how this thread runs it, and the bytes from which a worker makes its own `run`. */
export interface CompiledKernel {
  readonly name: string;
  readonly run: Run;
  readonly code: Uint8Array;
}

/** The work of one dispatch: where each thread's scratch lies, how many tasks, how many are taken at a time. */
export interface Work {
  readonly scratch: number;
  readonly scratchStride: number;
  readonly tasks: number;
  readonly grain: number;
}

/** Looking for work, or for the end of it, this long before sleeping; a wake-up costs about as much. */
const SPIN_MILLISECONDS = 0.1;
/** A sleeping caller looks this often whether the workers are still alive. */
const LOOK_MILLISECONDS = 100;
/** Where a host cannot tell whether a worker lives, no task finished in this time means that it does not. */
const PATIENCE_MILLISECONDS = 120_000;
const START_MILLISECONDS = 30_000;
const REMEDY = 'Results of this call are undefined; dispose of the device and create a new one.';

/** A worker did not come up. */
export class WorkerError extends DeviceError {
  /** Why, as a part of a sentence. */
  readonly reason: string;

  constructor(reason: string) {
    super(`createDevice: ${reason}. Use threads: 1, which needs no workers.`);
    this.reason = reason;
  }
}

/** Threads that share the tasks of a dispatch: `threads - 1` workers and the caller. See control.ts for the protocol. */
export class Pool {
  readonly threads: number;
  readonly #params: number;
  readonly #control: Int32Array;
  readonly #scratch: Float64Array;
  readonly #workers: WorkerHandle[] = [];
  readonly #programs = new Map<CompiledKernel, number>();
  readonly #spin: number;
  readonly #canWait: boolean;
  readonly #spawn: typeof spawnWorker;
  #generation = 0;
  /** Whether the death of every worker shows without the event loop. */
  #observable = false;
  #broken: string | undefined;
  #disposed = false;

  /** `params` is the address of the parameter slots that every program is called with. */
  constructor(threads: number, params: number, spawn: typeof spawnWorker = spawnWorker) {
    this.#spawn = spawn;
    this.threads = threads;
    this.#params = params;
    // one thread needs no sharing, and a page without cross-origin isolation has none
    const block = threads > 1 ? new SharedArrayBuffer(CONTROL_BYTES) : new ArrayBuffer(CONTROL_BYTES);
    this.#control = new Int32Array(block);
    this.#scratch = new Float64Array(block, PART.scratch, 2);
    // more threads than cores: a spinning thread only keeps a working one from its core
    this.#spin = threads <= parallelism().threads ? SPIN_MILLISECONDS : 0;
    this.#canWait = threads > 1 && mayWait(this.#control);
  }

  /** Starts the workers. @throws WorkerError when one does not come up. */
  async start(code: WorkerCode): Promise<void> {
    if (this.threads === 1) return;
    const control = this.#control.buffer as SharedArrayBuffer;
    for (let index = 1; index < this.threads; index++) {
      const setup = { control, layout: LAYOUT, index, params: this.#params, spin: this.#spin, code };
      const onEnd = (reason: string): void => {
        if (!this.#disposed) this.#broken ??= `worker ${index} of ${this.threads - 1} ended: ${reason}`;
      };
      this.#workers.push(this.#spawn(setup, onEnd));
    }
    const deadline = Date.now() + START_MILLISECONDS;
    for (let index = 1; index < this.threads; index++) {
      while (Atomics.load(this.#control, WORD.states + index) === STATE.starting && !this.#broken) {
        if (Date.now() > deadline) this.#broken = `worker ${index} did not start within ${START_MILLISECONDS / 1000} s`;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    if (!this.#broken) {
      this.#observable = this.#workers.map((worker) => worker.ready()).every(Boolean);
      return;
    }
    const reason = this.#broken;
    await this.dispose();
    throw new WorkerError(reason);
  }

  /** Runs all tasks and returns when they are done. Idle workers join; tasks of one dispatch may run in any order. */
  run(program: CompiledKernel, work: Work): void {
    if (this.#broken) throw new DeviceError(`${program.name}: ${this.#broken}. ${REMEDY}`);
    const { tasks, scratch } = work;
    const grain = Math.min(work.grain, tasks);
    if (this.threads === 1 || tasks <= grain) {
      // chunk by chunk here too: WebAssembly engines swap in optimised code between calls, not within one
      this.#attempt(program, () => {
        for (let begin = 0; begin < tasks; begin += grain)
          program.run(this.#params, scratch, begin, Math.min(tasks, begin + grain));
      });
      return;
    }
    const control = this.#control;
    control[WORD.program] = this.#deliver(program);
    const chunks = Math.ceil(tasks / grain);
    control[WORD.tasks] = tasks;
    control[WORD.chunks] = chunks;
    control[WORD.grain] = grain;
    control[WORD.next] = 0;
    this.#scratch[0] = scratch;
    this.#scratch[1] = work.scratchStride;
    this.#open(COMMAND.run, chunks - 1);
    try {
      this.#attempt(program, () => {
        for (;;) {
          const begin = Atomics.add(control, WORD.next, 1) * grain;
          if (begin >= tasks) return;
          program.run(this.#params, scratch, begin, Math.min(tasks, begin + grain));
        }
      });
    } finally {
      Atomics.store(control, WORD.next, chunks);
      this.#close(program);
    }
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#broken ??= 'the device was disposed';
    if (this.#workers.length > 0) this.#open(COMMAND.exit, this.#workers.length);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #attempt(program: CompiledKernel, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#broken = `the kernel failed (${String(error)})`;
      throw new DeviceError(`${program.name}: ${this.#broken}. ${REMEDY}`, { cause: error });
    }
  }

  /** The number under which the workers know a program, after sending it to all of them if this is its first use. */
  #deliver(program: CompiledKernel): number {
    const known = this.#programs.get(program);
    if (known !== undefined) return known;
    const control = this.#control;
    const id = this.#programs.size + 1;
    control[WORD.program] = id;
    control[WORD.codeLength] = program.code.length;
    for (let offset = 0; offset < program.code.length; offset += MAILBOX_BYTES) {
      const piece = program.code.subarray(offset, offset + MAILBOX_BYTES);
      control[WORD.pieceOffset] = offset;
      control[WORD.pieceLength] = piece.length;
      new Uint8Array(control.buffer, PART.mailbox, piece.length).set(piece);
      control[WORD.arrived] = 0;
      this.#open(COMMAND.load, this.#workers.length);
      this.#await(program, WORD.arrived, this.#workers.length);
      this.#close(program);
    }
    this.#programs.set(program, id);
    return id;
  }

  #open(command: number, wake: number): void {
    const control = this.#control;
    control[WORD.command] = command;
    control[WORD.failed] = 0;
    this.#generation = (this.#generation + 1) | 0 || 1;
    Atomics.store(control, WORD.open, this.#generation);
    Atomics.store(control, WORD.generation, this.#generation);
    Atomics.notify(control, WORD.generation, wake);
  }

  /** Ends a dispatch: nobody joins any more, everybody who did has left, and whoever failed is heard. */
  #close(program: CompiledKernel): void {
    const control = this.#control;
    Atomics.store(control, WORD.open, 0);
    this.#await(program, WORD.joined, 0);
    const failed = Atomics.load(control, WORD.failed);
    if (failed === 0 || this.#broken) return;
    const text = new Uint8Array(control.buffer, PART.error, control[WORD.errorLength]).slice();
    this.#broken = `the kernel failed in worker ${failed - 1} (${new TextDecoder().decode(text)})`;
    throw new DeviceError(`${program.name}: ${this.#broken}. ${REMEDY}`);
  }

  /** Waits until a word has a value: spinning first, then asleep, looking now and then whether anybody is left. */
  #await(program: CompiledKernel, word: number, target: number): void {
    const control = this.#control;
    let start = performance.now();
    let sleepFrom = start + (this.#canWait ? SPIN_MILLISECONDS : LOOK_MILLISECONDS);
    let progress = -1;
    for (;;) {
      for (let i = 0; i < 64; i++) if (Atomics.load(control, word) === target) return;
      const now = performance.now();
      if (now < sleepFrom) continue;
      if (this.#canWait) {
        const value = Atomics.load(control, word);
        if (value === target) return;
        if (Atomics.wait(control, word, value, LOOK_MILLISECONDS) !== 'timed-out') continue;
      } else {
        sleepFrom = now + LOOK_MILLISECONDS;
      }
      const moved = control[WORD.next]! + control[WORD.joined]! + control[WORD.arrived]!;
      if (moved !== progress) [start, progress] = [now, moved];
      const dead = this.#workers.findIndex((worker) => worker.ended());
      const silent = !this.#observable && now - start > PATIENCE_MILLISECONDS;
      if (dead < 0 && !silent) continue;
      this.#broken = dead < 0 ? 'the workers stopped answering' : `worker ${dead + 1} of ${this.threads - 1} died`;
      throw new DeviceError(`${program.name}: ${this.#broken}. ${REMEDY}`);
    }
  }
}

/** Whether this thread may block: everywhere but on a browser's main thread. */
function mayWait(control: Int32Array): boolean {
  try {
    Atomics.wait(control, WORD.generation, -1, 0);
    return true;
  } catch {
    return false;
  }
}
