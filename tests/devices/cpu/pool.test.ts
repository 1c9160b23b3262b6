// of devices/cpu/worker

import { afterEach, describe, expect, test } from 'vitest';
import { renderWasm } from '../../../src/codegen/render/wasm.js';
import { DeviceError } from '../../../src/core/errors.js';
import { COMMAND, MAILBOX_BYTES, PART, WORD } from '../../../src/devices/cpu/control.js';
import { spawnWorker, type WorkerHandle } from '../../../src/devices/cpu/host.js';
import { Pool, type CompiledKernel } from '../../../src/devices/cpu/pool.js';
import { WasmBackend } from '../../../src/devices/cpu/wasm.js';
import type { Kernel } from '../../../src/codegen/kernel.js';
import { affine, traps } from './fixtures.js';

const backend = new WasmBackend(undefined);
const PARAMS = 1024;
const memory = (): Int32Array => new Int32Array(backend.source.memory.buffer);

/** Sets word `task` of the memory at parameter 0 to 1, then waits until the word at parameter 1 is not 0. */
const waitsForFlag: Kernel = {
  name: 'waits-for-flag',
  key: '',
  parameters: ['pointer', 'pointer'],
  cpu: (k) => {
    const [out, flag] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
    k.loop(k.begin, k.end, (task) => {
      k.store(k.offset(out, task, 4), k.constant('i32', 1));
      // a store in the loop, so that no engine may hoist the load
      k.while(
        () => k.eq(k.loadI32(flag), 0),
        () => k.store(k.offset(out, task, 4), k.constant('i32', 2)),
      );
    });
  },
};

const pools: Pool[] = [];
const handles: WorkerHandle[] = [];

async function start(threads: number): Promise<Pool> {
  handles.length = 0;
  const pool = new Pool(threads, PARAMS, (...args) => {
    const handle = spawnWorker(...args);
    handles.push(handle);
    return handle;
  });
  pools.push(pool);
  await pool.start(backend.workerCode);
  return pool;
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.dispose();
});

/** A program whose part on this thread is `main` and whose part in workers is `kernel`. */
function program(kernel: Kernel, main: CompiledKernel['run']): CompiledKernel {
  return { name: kernel.name, run: main, code: renderWasm(kernel, { relaxed: false }) };
}

const work = { scratch: 0, scratchStride: 0, grain: 1 };

describe('pool', () => {
  test('a worker takes part, and its work is seen by the caller', async () => {
    const pool = await start(2);
    memory().fill(0, 512, 640);
    memory().set([2048, 0, 2304, 0], PARAMS / 4);
    const seen: number[] = [];
    // this thread holds its task until the worker has done another one
    const main = (_params: number, _scratch: number, begin: number): void => {
      seen.push(begin);
      const other = 1 - begin;
      while (Atomics.load(memory(), 512 + other) === 0);
      Atomics.store(memory(), 576, 1);
    };
    pool.run(program(waitsForFlag, main), { ...work, tasks: 2 });
    expect(seen).toHaveLength(1);
    expect(memory()[512 + 1 - seen[0]!]).toBeGreaterThan(0);
  });

  test('a call returns when the slowest worker has done what it took', async () => {
    const pool = await start(2);
    // says 1 at the start of a task, and 2 after a long while
    const slow: Kernel = {
      name: 'slow',
      key: '',
      parameters: ['pointer'],
      cpu: (k) => {
        const out = k.parameter(0, 'pointer');
        k.loop(k.begin, k.end, (task) => {
          const to = k.offset(out, task, 4);
          k.store(to, k.constant('i32', 1));
          k.loop(k.constant('i32', 0), k.constant('i32', 30_000_000), (i) => k.store(k.offset(out, 8, 4), i));
          k.store(to, k.constant('i32', 2));
        });
      },
    };
    memory().fill(0, 512, 640);
    memory().set([2048, 0], PARAMS / 4);
    let mine = 0;
    const main = (_params: number, _scratch: number, begin: number): void => {
      mine = begin;
      while (Atomics.load(memory(), 512 + 1 - begin) === 0);
    };
    pool.run(program(slow, main), { ...work, tasks: 2 });
    expect(memory()[512 + 1 - mine]).toBe(2);
  });

  test('each generation is served once, while it is open, however late or often a worker wakes', async () => {
    let control = new Int32Array(new SharedArrayBuffer(4));
    const pool = new Pool(2, PARAMS, (setup, onEnd) => {
      control = new Int32Array(setup.control);
      return spawnWorker(setup, onEnd);
    });
    pools.push(pool);
    await pool.start(backend.workerCode);
    // what the caller does to load a program, but for its order, and for the wake-ups: they come again and again
    const code = renderWasm(traps, { relaxed: false });
    new Uint8Array(control.buffer, PART.mailbox, code.length).set(code);
    control[WORD.program] = 1;
    control[WORD.codeLength] = code.length;
    control[WORD.pieceLength] = code.length;
    control[WORD.command] = COMMAND.load;
    const served = async (open: number, generation: number): Promise<number> => {
      Atomics.store(control, WORD.open, open);
      Atomics.store(control, WORD.generation, generation);
      for (let i = 0; i < 25; i++) {
        Atomics.notify(control, WORD.generation);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return Atomics.load(control, WORD.arrived);
    };
    expect(await served(1, 1)).toBe(1);
    // it wakes when the call is over
    expect(await served(0, 2)).toBe(1);
    // it has seen 3, and meanwhile 4 was opened: it looks again, and serves that as 4
    expect(await served(4, 3)).toBe(1);
    expect(await served(4, 4)).toBe(2);
    expect(Atomics.load(control, WORD.joined)).toBe(0);
  });

  test('code longer than the mailbox arrives in pieces', async () => {
    const pool = await start(3);
    const bare = renderWasm(traps, { relaxed: false });
    // a custom section named "p" of 600,000 bytes, which engines skip
    const size = 600_000;
    const leb = (value: number): number[] => [(value & 127) | 128, ((value >> 7) & 127) | 128, value >> 14];
    const code = Uint8Array.from([...bare, 0, ...leb(size + 2), 1, 0x70, ...new Uint8Array(size)]);
    expect(code.length).toBeGreaterThan(2 * MAILBOX_BYTES);
    const { run } = backend.instantiate('padded', code);
    // task / (task + 99) truncates to 0
    memory().set([2048, 0, -99, -1], PARAMS / 4);
    memory().fill(-7, 512, 512 + 64);
    pool.run({ name: 'padded', run, code }, { ...work, tasks: 64 });
    expect([...memory().subarray(512, 512 + 64)]).toEqual(new Array(64).fill(0));
  });

  test('a trap in a worker is an error on the calling thread; so is every later call', async () => {
    const pool = await start(2);
    memory().set([2048, 0, 3, 0], PARAMS / 4);
    // this thread does nothing until all tasks are taken, so the worker meets task 3
    const failing = program(traps, () => {});
    const attempt = (): void => {
      for (let i = 0; i < 1000; i++) pool.run(failing, { ...work, tasks: 100_000 });
    };
    expect(attempt).toThrow(DeviceError);
    expect(attempt).toThrow(/traps: the kernel failed in worker 1 \(RuntimeError: divide by zero\).*create a new one/);
  });

  test('code that a worker cannot load is an error', async () => {
    const pool = await start(3);
    const broken = { name: 'broken', run: () => {}, code: Uint8Array.of(1, 2, 3) };
    expect(() => pool.run(broken, { ...work, tasks: 10 })).toThrow(
      /broken: the kernel failed in worker \d \(CompileError/,
    );
  });

  test('a worker that dies in the middle of a task is noticed, not waited for', async () => {
    const pool = await start(2);
    memory().fill(0, 512, 640);
    memory().set([2048, 0, 2304, 0], PARAMS / 4);
    const main = (_params: number, _scratch: number, begin: number): void => {
      while (Atomics.load(memory(), 512 + 1 - begin) === 0);
      // the worker is now in an endless loop; the event loop will not run before the dispatch ends
      void handles[0]!.terminate();
    };
    const started = performance.now();
    expect(() => pool.run(program(waitsForFlag, main), { ...work, tasks: 2 })).toThrow(/worker 1 of 1 died.*new one/);
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  test('a worker that dies between dispatches is noticed at the next one', async () => {
    const pool = await start(3);
    await handles[1]!.terminate();
    const { run, code } = backend.load(affine());
    expect(() => pool.run({ name: 'affine', run, code }, { ...work, tasks: 10 })).toThrow(/worker 2 of 2 ended/);
  });

  test('a worker that does not start is an error of createDevice', async () => {
    const pool = new Pool(2, PARAMS, (setup, onEnd) =>
      spawnWorker({ ...setup, code: { kind: 'native', koffi: '/no' } }, onEnd),
    );
    await expect(pool.start(backend.workerCode)).rejects.toThrow(
      /createDevice: worker 1 of 1 ended: .*Use threads: 1/s,
    );
  });

  test('every task runs exactly once, for any number of tasks and grain', async () => {
    const count: Kernel = {
      name: 'count',
      key: '',
      parameters: ['pointer'],
      cpu: (k) => {
        const out = k.parameter(0, 'pointer');
        k.loop(k.begin, k.end, (task) => {
          const to = k.offset(out, task, 4);
          k.store(to, k.add(k.loadI32(to), 1));
        });
      },
    };
    const pool = await start(4);
    const counting = backend.load(count);
    memory().set([2048, 0], PARAMS / 4);
    for (const tasks of [1, 2, 3, 7, 64, 1000]) {
      for (const grain of [1, 2, 5, 1000, 2 ** 30]) {
        memory().fill(0, 512, 512 + 1024);
        pool.run(counting, { ...work, tasks, grain });
        const counts = memory().slice(512, 512 + 1024);
        expect(counts.every((n, task) => n === (task < tasks ? 1 : 0))).toBe(true);
      }
    }
  });
});
