import { appendFileSync, existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FormatError, NumericsError, OptionError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import { div, sub } from '../../src/ops/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import { type Files, loadCheckpoint, nodeFiles } from '../../src/train/checkpoint/index.js';
import { type Metric, parseMetrics } from '../../src/train/metrics.js';
import { runTraining, type RunResult } from '../../src/train/run.js';
import type { RunOptions } from '../../src/train/run-options.js';
import { temporaryFolder } from '../data/folder.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { disposeOf, toyTrainer, weightsOf, type ToyTrainerOptions } from './support/trainer.js';
import { full } from '../support/full.js';

type Options = Partial<Omit<RunOptions, 'trainer' | 'folder'>> & { readonly training?: ToyTrainerOptions };

interface Ended {
  readonly result: RunResult;
  readonly weights: Float32Array;
  readonly metrics: readonly Metric[];
}

/** A process: a new model and trainer, which end however it ends. */
async function session(device: Device, folder: string, { training, ...options }: Options = {}): Promise<Ended> {
  const toy = toyTrainer(device, { toy: { dropout: 0.2, memory: true }, ...training });
  try {
    const losses = [3, 2, 2.5, 1];
    const result = await runTraining({
      folder,
      trainer: toy.trainer,
      limits: { steps: 6, evaluateEvery: 2 },
      evaluate: async () => ({ loss: losses[toy.trainer.steps / 2 - 1] ?? 4, windows: 4 }),
      bitsPerByte: (loss) => loss / Math.LN2,
      saveEvery: 1,
      data: { files: [{ bytes: 7 }] },
      session: { device: 'toy', threads: 1, parameters: 1 },
      ...options,
    });
    return { result, weights: await weightsOf(toy), metrics: metricsOf(folder) };
  } finally {
    disposeOf(toy);
  }
}

const metricsOf = (folder: string): Metric[] => parseMetrics(readFileSync(join(folder, 'metrics.jsonl'), 'utf8'));

/** Every file of a folder and its bytes. */
const contentOf = (folder: string): unknown =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${name} ${readFileSync(join(parentPath, name), 'base64')}`)
    .sort();

/** What must not depend on how often the process ended. */
const lasting = (metrics: readonly Metric[]): unknown[] =>
  metrics.flatMap((metric) => {
    if (metric.kind !== 'step' && metric.kind !== 'evaluation') return [];
    const { seconds, elapsed, ...rest } = metric;
    return [{ ...rest, tokensPerSecond: 0, peakBytes: 0, times: typeof seconds + typeof elapsed }];
  });

async function bestWeights(folder: string): Promise<[state: unknown, bytes: readonly number[]]> {
  const { tensors, state } = await loadCheckpoint(join(folder, 'best'));
  const all = await Promise.all([...tensors.entries.keys()].map((name) => tensors.read(name)));
  await tensors.close();
  return [state, all.flatMap((one) => [...one])];
}

/** The file system until operation `failAt`, then `failure`: for ever, or that once. */
function failing(failAt: number, failure: Error, once = false): Files & { readonly operations: number } {
  let operations = 0;
  const step = (): void => {
    const at = operations++;
    if (at === failAt || (at > failAt && !once)) throw failure;
  };
  return {
    get operations() {
      return operations;
    },
    async open(path, mode) {
      step();
      const file = await nodeFiles.open(path, mode);
      return {
        write: async (bytes) => (step(), file.write(bytes)),
        read: (into, position) => file.read(into, position),
        size: () => file.size(),
        sync: async () => (step(), file.sync()),
        close: () => file.close(),
      };
    },
    rename: async (from, to) => (step(), nodeFiles.rename(from, to)),
    remove: async (path) => (step(), nodeFiles.remove(path)),
    list: async (folder) => (step(), nodeFiles.list(folder)),
    makeFolder: async (path) => (step(), nodeFiles.makeFolder(path)),
    syncFolder: async (path) => (step(), nodeFiles.syncFolder(path)),
  };
}

const noSpace = Object.assign(new Error('no space'), { code: 'ENOSPC' });

onEveryDevice((on) => {
  test('a run leaves its metrics, its last and its best weights', async () => {
    const folder = join(temporaryFolder(), 'run');
    const { result, metrics } = await session(on.device, folder);
    expect(result).toMatchObject({ reason: 'finished', step: 6, best: { step: 4, loss: 2 } });
    expect(metrics.map(({ kind, step }) => `${kind} ${step}`).join(', ')).toBe(
      'start 0, step 1, step 2, evaluation 2, step 3, step 4, evaluation 4, step 5, step 6, evaluation 6, stop 6',
    );
    expect(metrics[0]).toMatchObject({ device: 'toy', tokensPerStep: 18 });
    expect(metrics[3]).toMatchObject({ loss: 3, bitsPerByte: 3 / Math.LN2, windows: 4, best: true });
    expect(metrics[9]).not.toHaveProperty('best');
    expect(readdirSync(folder).sort()).toEqual(['best', 'checkpoint', 'metrics.jsonl']);
    expect((await bestWeights(folder))[0]).toEqual({ step: 4, loss: 2 });
  });

  test('interrupted after any step, and resumed: the same weights, best weights and metrics', async () => {
    const whole = temporaryFolder();
    const { weights, metrics } = await session(on.device, whole);
    for (const at of full ? [0, 1, 2, 3, 4, 5] : [0, 2, 5]) {
      const folder = temporaryFolder();
      let steps = 0;
      const onMetric = ({ kind }: Metric): void => void (steps += kind === 'step' ? 1 : 0);
      const first = await session(on.device, folder, { onMetric, stopping: () => steps >= at });
      expect(first.result).toMatchObject({ reason: 'interrupted', step: at });
      const second = await session(on.device, folder, { resume: true });
      expectSameBits(`at ${at}`, second.weights, weights);
      expect(lasting(second.metrics)).toEqual(lasting(metrics));
      expect(await bestWeights(folder)).toEqual(await bestWeights(whole));
      expect(second.metrics.filter(({ kind }) => kind === 'stop')).toHaveLength(2);
    }
  });

  test('ended before any operation on a file, and resumed: the same', async () => {
    const whole = temporaryFolder();
    const counting = failing(Infinity, new Error());
    const { weights, metrics } = await session(on.device, whole, { files: counting });
    const stride = full ? 3 : 31;
    expect(counting.operations).toBeGreaterThan(80);
    for (let at = 0; at < counting.operations; at += stride) {
      const folder = temporaryFolder();
      const files = failing(at, new Error('killed'));
      // what tidies up after the last save may fail: all is saved by then
      await session(on.device, folder, { files }).catch(({ message }: Error) => expect(message).toContain('killed'));
      expect(files.operations).toBeGreaterThan(at);
      // what a process was writing when it was killed
      appendFileSync(join(folder, 'metrics.jsonl'), '{"kind":"step","st');
      const second = await session(on.device, folder, { resume: true });
      expectSameBits(`operation ${at}`, second.weights, weights);
      expect(lasting(second.metrics)).toEqual(lasting(metrics));
      expect(await bestWeights(folder)).toEqual(await bestWeights(whole));
    }
  });

  test('a full disk: training goes on, the checkpoint before stays, and the next save succeeds', async () => {
    const folder = temporaryFolder();
    const troubles: string[] = [];
    const files = failing(40, noSpace, true);
    const { result } = await session(on.device, folder, { files, onTrouble: (text) => troubles.push(text) });
    expect(result.reason).toBe('finished');
    expect(troubles).toEqual([
      expect.stringMatching(/the disk is full\); what was saved there before is untouched. Training goes on/),
    ]);
    const { tensors, state } = await loadCheckpoint(join(folder, 'checkpoint'));
    await tensors.close();
    expect(state).toMatchObject({ trainer: { step: 6 } });
  });

  test('a full disk at the beginning is an error', async () => {
    const folder = temporaryFolder();
    const ended = session(on.device, folder, { files: failing(0, noSpace) });
    await expect(ended).rejects.toThrow(FormatError);
    await expect(ended).rejects.toThrow('the disk is full');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('and at the end', async () => {
    const folder = temporaryFolder();
    const evaluate = undefined;
    const files = failing(Infinity, noSpace);
    await session(on.device, folder, { files, saveEvery: 100, evaluate, limits: { steps: 0, evaluateEvery: 1 } });
    const full = { files: failing(0, noSpace), saveEvery: 100, evaluate };
    const ended = session(on.device, folder, { resume: true, ...full });
    await expect(ended).rejects.toThrow(FormatError);
    await expect(ended).rejects.toThrow('the disk is full');
  });

  test('patience', async () => {
    const losses = [3, 2, 2.5, 2, 1];
    const ended = await session(on.device, temporaryFolder(), {
      limits: { steps: 5, evaluateEvery: 1 },
      evaluate: async () => ({ loss: losses.shift()!, windows: 1 }),
      patience: 2,
    });
    // an equal loss is no improvement
    expect(ended.result).toMatchObject({ reason: 'no improvement', step: 4, best: { step: 2, loss: 2 } });
  });

  test('a NaN: the last good checkpoint stays and is named, and the metrics say so', async () => {
    const folder = temporaryFolder();
    let broken = false;
    const spoil = (_: string, x: Tensor): Tensor => (broken ? div(sub(x, x), sub(x, x)) : x);
    const onMetric = ({ step }: Metric): void => void (broken = step >= 3);
    const ended = session(on.device, folder, { training: { toy: { spoil } }, onMetric });
    await expect(ended).rejects.toThrow(NumericsError);
    await expect(ended).rejects.toThrow(/of step 4 is not finite; .*The checkpoint of step 3 is kept\.$/);
    expect(metricsOf(folder).at(-1)).toMatchObject({ kind: 'stop', reason: 'not finite', step: 3 });
    const { tensors, state } = await loadCheckpoint(join(folder, 'checkpoint'));
    await tensors.close();
    expect(state).toMatchObject({ trainer: { step: 3 } });
  });

  test('limits that follow from the first steps', async () => {
    const seen: number[] = [];
    const limits = {
      probe: 3,
      limits: (seconds: number, elapsed: number) => {
        seen.push(seconds, elapsed);
        return { steps: 5, evaluateEvery: 4 };
      },
    };
    const folder = temporaryFolder();
    const { result, metrics } = await session(on.device, folder, { limits });
    expect(result.step).toBe(5);
    expect(seen).toHaveLength(2);
    expect(seen[1]).toBeGreaterThan(seen[0]!);
    expect(metrics.filter(({ kind }) => kind === 'evaluation').map(({ step }) => step)).toEqual([4, 5]);
  });

  test('another device is no trouble without a word', async () => {
    const folder = temporaryFolder();
    const troubles: string[] = [];
    const onTrouble = (text: string): void => void troubles.push(text);
    await session(on.device, folder, { onTrouble });
    await session(on.device, folder, { onTrouble, resume: true });
    expect(troubles).toEqual([]);
    const other = { device: 'other', threads: 1, parameters: 1 };
    await session(on.device, folder, { onTrouble, resume: true, session: other });
    expect(troubles).toEqual([expect.stringContaining('the run was on toy and goes on on other')]);
  });

  test('another text is refused, and what differs is named', async () => {
    const folder = temporaryFolder();
    await session(on.device, folder);
    const data = { files: [{ bytes: 8 }] };
    await expect(session(on.device, folder, { resume: true, data })).rejects.toThrow(
      'was trained on another text: data.files was [{"bytes":7}], is [{"bytes":8}].',
    );
    expect(existsSync(join(folder, 'checkpoint', 'checkpoint.json'))).toBe(true);
  });

  test('a checkpoint that was lost is not begun anew: metrics or best weights are there', async () => {
    for (const lost of [
      ['checkpoint'],
      ['checkpoint/checkpoint.json'],
      ['checkpoint', 'best'],
      ['checkpoint', 'metrics.jsonl'],
    ]) {
      const folder = temporaryFolder();
      await session(on.device, folder);
      for (const name of lost) rmSync(join(folder, name), { recursive: true });
      const before = contentOf(folder);
      for (const resume of [true, false]) {
        const refused = session(on.device, folder, { resume });
        await expect(refused).rejects.toThrow(FormatError);
        const what = lost.includes('metrics.jsonl') ? 'best weights' : 'metrics of 6 steps';
        await expect(refused).rejects.toThrow(`holds ${what}, but no checkpoint to go on from`);
        expect(contentOf(folder)).toEqual(before);
      }
    }
  });

  test('other settings than those of the checkpoint are refused; a checkpoint without any is not', async () => {
    const folder = temporaryFolder();
    const settings = { model: { width: 8, heads: [1, 2] }, seed: 1 };
    await session(on.device, folder, { settings, limits: { steps: 2, evaluateEvery: 2 } });
    const other = { model: { width: 8, heads: [1, 3] }, seed: 2 };
    const refused = session(on.device, folder, { resume: true, settings: other });
    await expect(refused).rejects.toThrow(FormatError);
    await expect(refused).rejects.toThrow(
      'was made with other settings: model.heads was [1,2], is [1,3]; seed was 1, is 2.',
    );
    // a later version may know more
    await session(on.device, folder, { resume: true, settings: { ...settings, rate: 3 } });
    const older = temporaryFolder();
    await session(on.device, older, { limits: { steps: 2, evaluateEvery: 2 } });
    await session(on.device, older, { resume: true, settings });
  });

  test('a run that is made longer says where the rate goes; one shorter than what is done is refused', async () => {
    const folder = temporaryFolder();
    const troubles: string[] = [];
    const given = { resume: true, onTrouble: (text: string) => void troubles.push(text) };
    await session(on.device, folder);
    await session(on.device, folder, given);
    expect(troubles).toEqual([]);
    const before = contentOf(folder);
    const refused = session(on.device, folder, { ...given, limits: { steps: 5, evaluateEvery: 2 } });
    await expect(refused).rejects.toThrow(OptionError);
    await expect(refused).rejects.toThrow('has 6 steps done, so it cannot have 5 in all; ask for 6 or more.');
    expect(contentOf(folder)).toEqual(before);
    const steps = metricsOf(folder).flatMap((metric) => (metric.kind === 'step' ? [metric.learningRate] : []));
    await session(on.device, folder, {
      ...given,
      limits: { steps: 8, evaluateEvery: 2 },
      training: { schedule: () => 0.5 },
    });
    expect(troubles).toEqual([
      `train: the run was to have 6 steps and now has 8; the schedule is that of 8, so the rate goes from ${steps[5]!.toExponential(2)} ` +
        'in step 6 to 5.00e-1 in the next.',
    ]);
  });

  test('a last evaluation that is not finite is an error', async () => {
    const folder = temporaryFolder();
    const ended = session(on.device, folder, { evaluate: async () => ({ loss: NaN, windows: 1 }) });
    await expect(ended).rejects.toThrow(NumericsError);
    await expect(ended).rejects.toThrow('the validation loss after step 6 is NaN.');
    expect(metricsOf(folder).at(-1)).toMatchObject({ kind: 'stop', reason: 'not finite', step: 6 });
  });
});
