// of attention/lost

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mechanisms, performer } from '../../src/attention/index.js';
import { createDevice, scope, tensor, type Device, type Tensor } from '../../src/index.js';
import { normal } from '../support/random.js';

// A row that float32 has emptied is 0 where an average of values would stand, and must not go unsaid: of any mechanism, at norms
// for which exponentials underflow.

const [n, D] = [128, 64];
let device: Device & { dispose: () => Promise<void> };
beforeAll(async () => {
  device = await createDevice({ kind: 'wasm', threads: 1 });
});
afterAll(() => device.dispose());

const random = (seed: number, factor: number): Tensor =>
  tensor(
    normal(seed, n * D).map((x) => factor * x),
    [1, 1, n, D],
    { device },
  );

/** How many rows hold a 0 or no number, and what the result says of them. */
async function emptied(one: (typeof mechanisms)[number], causal: boolean, factor: number) {
  const { out, notes } = scope(() => one.run(random(1, factor), random(2, factor), random(3, 1), { causal }));
  const numbers = await out.data();
  out.dispose();
  const rows = Array.from({ length: n }, (_, row) => numbers.subarray(row * D, (row + 1) * D));
  const lost = rows.filter((row) => row.every((x) => x === 0) || !row.every(Number.isFinite)).length;
  return { lost, notes: notes.filter((note) => note.includes('float32')) };
}

const attentions = mechanisms.filter(({ definition }) => definition.level !== 'mixer');
/** Rows that see no key by the rule of the mechanism, not for want of numbers in float32. */
const emptyByRule = (name: string, causal: boolean): boolean =>
  name === 'routing' || (name === 'improved-clustered' && causal);

const cases = attentions.flatMap((one) =>
  [false, true]
    .filter((causal) => one.definition.supports.causal !== (causal ? false : 'only') && !emptyByRule(one.name, causal))
    .flatMap((causal) => [1, 30, 1000].map((factor) => [one.name, causal, factor, one] as const)),
);

describe('rows that float32 empties are counted in a note', () => {
  test.each(cases)('%s, causal %s, norms × %i', async (_, causal, factor, one) => {
    const { lost, notes } = await emptied(one, causal, factor);
    if (lost > 0) expect(notes).toHaveLength(1);
    if (factor === 1) expect({ lost, notes }).toEqual({ lost: 0, notes: [] });
    // those with features say how many it is; a lambda loses some of the features of a row
    if (one.definition.family !== 'kernel-methods') return;
    const counted = notes.flatMap((note) => /^(\d+) of \d+ rows/.exec(note)?.[1] ?? []);
    expect(counted.map(Number)).toEqual(lost > 0 ? [lost] : []);
  });

  test('a causal Performer at norms × 30 does lose rows, so the test sees what it is for', async () => {
    const { lost } = await emptied(performer, true, 30);
    expect(lost).toBeGreaterThan(n / 4);
  });

  test('so does each step of a decoder', async () => {
    const decoder = performer.decoder({ maxLength: n });
    const notes = scope(() => decoder.step(random(1, 30), random(2, 30), random(3, 1)).notes);
    decoder.dispose();
    expect(notes).toHaveLength(1);
  });
});
