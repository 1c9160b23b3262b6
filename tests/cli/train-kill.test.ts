import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { uniform } from '../support/random.js';
import { transpiled } from '../support/transpile.js';
import { temporaryFolder } from './io.js';
import { full, sweep } from '../support/full.js';

const STEPS = 40;
const MODEL = '--layers 1 --width 16 --heads 2 --length 16 --batch 2 --dropout 0.1'.split(' ');
const RUN = `--steps ${STEPS} --save-every 1 --evaluate-every 7 --accumulate 2 --device wasm --threads 1`.split(' ');

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

const program = transpiled();
const text = join(temporaryFolder(), 'text.txt');
writeFileSync(text, Array.from({ length: 400 }, (_, i) => `Line ${i} has ${i * i} words.\n`).join(''));

/** Runs the program in a process of its own; `meanwhile` may end it. */
async function subquad(
  argv: readonly string[],
  meanwhile: (kill: (signal: NodeJS.Signals) => void, ended: () => boolean) => Promise<void> = async () => undefined,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(program, 'cli', 'main.js'), 'train', ...argv]);
  let [out, err, over] = ['', '', false];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  const closed = new Promise<Ended>((done) =>
    child.on('close', (code, signal) => {
      over = true;
      done({ code, signal, out, err });
    }),
  );
  await meanwhile(
    (signal) => child.kill(signal),
    () => over,
  );
  return closed;
}

const start = (folder: string): string[] => [text, ...MODEL, ...RUN, '--out', folder];
const resume = (folder: string): string[] => ['--resume', folder, '--device', 'wasm', '--threads', '1'];

/** Steps that the metrics of a run speak of. */
function stepsOf(folder: string): number {
  const path = join(folder, 'metrics.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('"kind":"step"').length - 1 : 0;
}

/** The names of the tensor files are the checksums of their content. */
const weightsOf = (folder: string): unknown =>
  ['checkpoint', 'best'].map((name) => readdirSync(join(folder, name)).filter((file) => file.startsWith('tensors-')));

/** Ends the process some time after the metrics speak of so many steps. */
const after =
  (folder: string, steps: number, milliseconds: number, signal: NodeJS.Signals) =>
  async (kill: (signal: NodeJS.Signals) => void, ended: () => boolean): Promise<void> => {
    while (!ended() && stepsOf(folder) < steps) await sleep(2);
    await sleep(milliseconds);
    kill(signal);
  };

describe('a run in a process of its own', () => {
  const whole = join(temporaryFolder(), 'run');
  beforeAll(async () => {
    await subquad(start(whole));
  });

  sweep('Ctrl-C finishes the step, saves, and says how to go on; then killed twice: the same weights', async () => {
    const folder = join(temporaryFolder(), 'run');
    const ended = await subquad(start(folder), after(folder, 3, 0, 'SIGINT'));
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(ended.err).toContain('ending after this step; Ctrl-C again stops at once\n');
    expect(ended.out).toMatch(/stopped and saved after \d+ steps, .*\nresume {2}subquad train --resume (?:\\\n +)?\S/);
    const steps = stepsOf(folder);
    expect(steps).toBeLessThan(STEPS);
    for (const [more, moment] of [
      [2, 3],
      [2, 11],
    ] as const) {
      const killed = await subquad(resume(folder), after(folder, stepsOf(folder) + more, moment, 'SIGKILL'));
      // on a busy machine the run may end first
      expect(killed.code === 0 || killed.signal === 'SIGKILL').toBe(true);
    }
    const resumed = await subquad(resume(folder));
    expect(resumed.out).toMatch(/goes on after step \d+\n/);
    expect(resumed).toMatchObject({ code: 0 });
    expect(weightsOf(folder)).toEqual(weightsOf(whole));
    expect(stepsOf(folder)).toBe(STEPS);
  });

  test.skipIf(!full)('killed at 20 moments, and resumed: the same weights', async () => {
    const drawn = uniform(11, 40, 0, 1);
    for (let i = 0; i < 20; i++) {
      const [step, moment] = [Math.floor(drawn[2 * i]! * STEPS), drawn[2 * i + 1]! * 20];
      const folder = join(temporaryFolder(), 'run');
      const killed = await subquad(start(folder), after(folder, step, moment, 'SIGKILL'));
      expect(killed.code === 0 || killed.signal === 'SIGKILL').toBe(true);
      // killed before it had begun to write: there is nothing to go on with
      const again = existsSync(join(folder, 'config.json')) ? resume(folder) : start(folder);
      expect(await subquad(again), `after step ${step}`).toMatchObject({ code: 0 });
      expect(weightsOf(folder), `after step ${step}, ${moment} ms`).toEqual(weightsOf(whole));
      expect(stepsOf(folder)).toBe(STEPS);
    }
  });
});
