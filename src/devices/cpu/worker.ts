import type { Layout } from './control.js';

/** What a program is at run time, on every thread: tasks `begin … end-1` with addresses as numbers. */
export type Run = (params: number, scratch: number, begin: number, end: number) => void;

/** How a worker turns code bytes into a `Run`: a WebAssembly module, or the path of a shared object. */
export type WorkerCode =
  { readonly kind: 'wasm'; readonly memory: unknown } | { readonly kind: 'native'; readonly koffi: string };

export interface WorkerSetup {
  readonly control: SharedArrayBuffer;
  readonly layout: Layout;
  /** 1 … threads-1; the caller is thread 0. */
  readonly index: number;
  /** Address of the parameter slots, the same for every dispatch. */
  readonly params: number;
  /** Milliseconds to look for the next dispatch before going to sleep. */
  readonly spin: number;
  readonly code: WorkerCode;
}

/**
 * The life of a worker. The function is sent as text (`toString`), so it refers to nothing outside itself but
 * JavaScript and WebAssembly globals; `require` is Node's, absent in browsers.
 */
export function workerMain(setup: WorkerSetup, require: ((id: string) => unknown) | undefined): void {
  const { WORD, COMMAND, STATE, PART } = setup.layout;
  const control = new Int32Array(setup.control);
  const scratch = new Float64Array(setup.control, PART.scratch, 2);
  const programs = new Map<number, Run>();
  // at start-up, in parallel with the other threads, and where a failure is heard by createDevice
  const koffi =
    setup.code.kind === 'native'
      ? (require!(setup.code.koffi) as { load(path: string): { func(prototype: string): Run } })
      : undefined;
  let code = new Uint8Array(0);

  const instantiate = (bytes: Uint8Array): Run => {
    if (!koffi) {
      const imports = { env: { memory: (setup.code as { memory: WebAssembly.Memory }).memory } };
      return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports['run'] as unknown as Run;
    }
    const library = koffi.load(new TextDecoder().decode(bytes));
    return library.func('void subquad_run(int64_t params, int64_t scratch, int32_t begin, int32_t end)');
  };

  const receive = (): void => {
    const offset = control[WORD.pieceOffset]!;
    const length = control[WORD.codeLength]!;
    if (offset === 0) code = new Uint8Array(length);
    const piece = control[WORD.pieceLength]!;
    code.set(new Uint8Array(setup.control, PART.mailbox, piece), offset);
    if (offset + piece === length) programs.set(control[WORD.program]!, instantiate(code));
  };

  const run = (): void => {
    const program = programs.get(control[WORD.program]!)!;
    const tasks = control[WORD.tasks]!;
    const grain = control[WORD.grain]!;
    const workspace = scratch[0]! + setup.index * scratch[1]!;
    for (;;) {
      const begin = Atomics.add(control, WORD.next, 1) * grain;
      if (begin >= tasks) return;
      program(setup.params, workspace, begin, Math.min(tasks, begin + grain));
    }
  };

  const fail = (error: unknown): void => {
    if (Atomics.compareExchange(control, WORD.failed, 0, setup.index + 1) !== 0) return;
    const text = new TextEncoder().encode(String(error)).slice(0, 4096);
    new Uint8Array(setup.control, PART.error, text.length).set(text);
    control[WORD.errorLength] = text.length;
    // nobody starts another task
    Atomics.store(control, WORD.next, control[WORD.chunks]!);
  };

  const awaitGeneration = (seen: number): number => {
    const end = performance.now() + setup.spin;
    for (;;) {
      for (let i = 0; i < 64; i++) {
        const now = Atomics.load(control, WORD.generation);
        if (now !== seen) return now;
      }
      // a wake-up may be late, for a generation that this worker has already served
      if (performance.now() >= end) Atomics.wait(control, WORD.generation, seen);
    }
  };

  let seen = 0;
  Atomics.store(control, WORD.states + setup.index, STATE.ready);
  for (;;) {
    seen = awaitGeneration(seen);
    Atomics.add(control, WORD.joined, 1);
    let exit = false;
    if (Atomics.load(control, WORD.open) === seen) {
      try {
        if (control[WORD.command] === COMMAND.run) run();
        else if (control[WORD.command] === COMMAND.load) receive();
        else exit = true;
      } catch (error) {
        fail(error);
      }
      if (control[WORD.command] !== COMMAND.run) {
        Atomics.add(control, WORD.arrived, 1);
        Atomics.notify(control, WORD.arrived);
      }
    }
    if (Atomics.sub(control, WORD.joined, 1) === 1) Atomics.notify(control, WORD.joined);
    if (exit) break;
  }
  Atomics.store(control, WORD.states + setup.index, STATE.gone);
}
