import { expect, test } from 'vitest';
import { carryOver } from '../../src/models/carry-over.js';
import { createModel, readConfig } from '../../src/models/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

const sizes = { layers: 1, width: 8, heads: 2, length: 16 };

onEveryDevice((on) => {
  const made = (own: object, seed: number) =>
    createModel(readConfig({ ...sizes, ...own })).initialise({ device: on.device, seed });
  const values = async (state: ReadonlyMap<string, Tensor>): Promise<Map<string, Float32Array>> =>
    new Map(await Promise.all([...state].map(async ([name, x]) => [name, Float32Array.from(await x.data())] as const)));

  test('an encoder with a mask token from a decoder, and back', async () => {
    const decoder = made({ vocabulary: 256 }, 1);
    const encoder = made({ kind: 'encoder', vocabulary: 257, outputs: 256 }, 2);
    const [of, before] = [await values(decoder.stateDict()), await values(encoder.stateDict())];
    const found = carryOver(encoder, decoder.stateDict());
    const [table] = found.partly;
    expect(found).toEqual({
      taken: [...of.keys()].filter((name) => name !== table),
      partly: [table],
      drawn: [],
      unused: [],
    });
    const after = await values(encoder.stateDict());
    for (const [name, x] of of) {
      const rest = name === table ? [...before.get(name)!.subarray(x.length)] : [];
      expectSameBits(name, after.get(name)!, Float32Array.from([...x, ...rest]));
    }
    const small = made({ vocabulary: 256 }, 3);
    expect(carryOver(small, encoder.stateDict()).partly).toEqual([table]);
    const back = await values(small.stateDict());
    for (const [name, x] of of) expectSameBits(name, back.get(name)!, x);
    for (const one of [decoder, encoder, small]) one.dispose();
  });

  test('what has no place, and what keeps what it had', async () => {
    const from = made({ layers: 2, position: 'learned' }, 1);
    const to = made({ layers: 1, heads: 2, feedForward: { hidden: 12 } }, 2);
    const before = await values(to.stateDict());
    const found = carryOver(to, from.stateDict());
    expect(found.unused.length).toBe(from.stateDict().size - found.taken.length);
    expect(found.drawn.length).toBeGreaterThan(0);
    const after = await values(to.stateDict());
    for (const name of found.drawn) expectSameBits(name, after.get(name)!, before.get(name)!);
    from.dispose();
    to.dispose();
  });
});
