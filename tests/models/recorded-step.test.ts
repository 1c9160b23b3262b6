import { describe, expect, test } from 'vitest';
import type { Device } from '../../src/devices/index.js';
import { createModel, openSession, readConfig, type SessionOptions } from '../../src/models/index.js';
import { expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';

const small = { layers: 2, width: 16, heads: 4, kvHeads: 2, length: 48, vocabulary: 32 };
const cases: Readonly<Record<string, readonly [object, Partial<SessionOptions>]>> = {
  rope: [{ position: 'rope' }, {}],
  learned: [{ position: 'learned' }, {}],
  sinusoidal: [{ position: 'sinusoidal' }, {}],
  alibi: [{ position: 'alibi' }, {}],
  't5, two texts': [{ position: 't5' }, { rows: 2 }],
  'a sliding window': [{ mechanism: { name: 'sliding-window', options: { radius: 5 } } }, {}],
  'a ring with positions in the scores': [{ position: 'alibi' }, { cache: 'ring', window: 7 }],
  sinks: [{ position: 'rope' }, { cache: 'sink', window: 6, sinks: 2 }],
};

/** The same device, without recordings. */
const plain = (device: Device): Device => {
  const own = Object.create(device) as Device;
  for (const name of ['allocate', 'free', 'write', 'read', 'run', 'guard', 'compileAll', 'synchronise'] as const) {
    Object.defineProperty(own, name, { value: (device[name] as (...given: unknown[]) => unknown).bind(device) });
  }
  for (const name of ['info', 'ledger', 'counters'] as const) Object.defineProperty(own, name, { value: device[name] });
  return Object.defineProperty(own, 'record', { value: undefined });
};

describe('steps that are recorded', () => {
  onWebAssemblyFirst((on) => {
    const opened = (device: Device, [config, options]: (typeof cases)[string], seed = 1) => {
      const model = createModel(readConfig({ ...small, ...config })).initialise({ device, seed });
      return { model, session: openSession(model, { maxLength: 48, ...options }) };
    };
    const list = (rows: number, tokens: readonly number[]): number[] | number[][] =>
      rows === 1
        ? [...tokens]
        : Array.from({ length: rows }, (_, row) => tokens.map((token) => (token + 3 * row) % 32));

    test.each(Object.entries(cases))('%s: give the bits of steps that are computed anew', async (name, one) => {
      const two = [opened(on.device, one), opened(plain(on.device), one)];
      const { rows } = two[0]!.session;
      const all = async (tokens: readonly number[]): Promise<void> => {
        const found = [];
        for (const { session } of two) {
          const logits = session.step(list(rows, tokens));
          found.push(await logits.data());
          logits.dispose();
        }
        expectSameBits(`${name}, ${two[0]!.session.length} tokens`, found[0]!, found[1]!);
      };
      await all([3, 1, 4, 1, 5]);
      for (let i = 0; i < 12; i++) await all([(7 * i) % 32]);
      // several tokens between, and back again
      await all([9, 2, 6]);
      for (let i = 0; i < 3; i++) await all([i]);
      if (one[1].cache === undefined) for (const { session } of two) session.truncate(8);
      for (let i = 0; i < 4; i++) await all([30 - i]);
      for (const { model, session } of two) {
        session.dispose();
        model.dispose();
      }
    });

    test('follow other weights, and are those of each session alone', async () => {
      const { model, session } = opened(on.device, cases['rope']!);
      const other = createModel(readConfig({ ...small, position: 'rope' })).initialise({ device: on.device, seed: 2 });
      const logitsOf = async (of: { step(tokens: number[]): ReturnType<typeof session.step> }, token: number) => {
        const logits = of.step([token]);
        const data = await logits.data();
        logits.dispose();
        return data;
      };
      session.step([1, 2, 3]).dispose();
      for (let i = 0; i < 4; i++) await logitsOf(session, i);
      const fork = session.fork();
      for (let i = 0; i < 4; i++) expectSameBits('fork', await logitsOf(fork, 9 + i), await logitsOf(session, 9 + i));
      const before = await logitsOf(fork, 5);
      model.load(other.stateDict());
      const after = await logitsOf(session, 5);
      expect(Array.from(after)).not.toEqual(Array.from(before));
      for (const one of [session, fork, model, other]) one.dispose();
    });
  });
});
