import { expect, test } from 'vitest';
import { clipGradients } from '../../../src/train/clip.js';
import { adafactor, adamW, lion, sgd, type NamedTensors, type Optimiser } from '../../../src/train/optimisers/index.js';
import { weighRows } from '../../../src/ops/weigh-rows.js';
import {
  denseOf,
  disposeAll,
  gradients,
  scope,
  tensor,
  type RowGradient,
  type Tensor,
} from '../../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';

const columns = 6;
const decays = { weightDecay: 0.1 };
const rules: readonly (readonly [string, (parameters: NamedTensors) => Optimiser])[] = [
  ['adamW', (parameters) => adamW(parameters, { ...decays, beta2: 0.9 })],
  ['sgd', (parameters) => sgd(parameters, decays)],
  ['sgd with momentum', (parameters) => sgd(parameters, { ...decays, momentum: 0.9, nesterov: true })],
  ['lion', (parameters) => lion(parameters, decays)],
];

/** Rows that steps read: some of them twice, some never. */
const reads = [
  [3, 9, 3, 1],
  [9, 0, 14, 14],
  [1, 1, 1, 1],
];

onEveryDevice((on) => {
  const tableOf = (length: number): Tensor =>
    tensor(uniform(7, length * columns), [length, columns], { device: on.device, requiresGradient: true });

  const gradientOf = (table: Tensor, rows: readonly number[], step: number): RowGradient =>
    scope(() => {
      const weights = tensor(uniform(20 + step, rows.length), [2, rows.length / 2], { device: on.device });
      const out = weighRows(weights, table, tensor(Int32Array.from(rows), weights.shape, { device: on.device }));
      const d = tensor(uniform(30 + step, 2 * columns), [2, columns], { device: on.device });
      return gradients([out], [table], [d], { rows: true })[0] as RowGradient;
    });

  test.each(rules)('%s moves the rows that were read as it moves a table of these alone', async (_, make) => {
    const table = tableOf(15);
    const optimiser = make([['table', table]]);
    const before = await table.data();
    // each row is a parameter of its own to the reference: it has a gradient at the steps that read it
    const rows = Array.from({ length: 15 }, (_, row) => before.slice(row * columns, (row + 1) * columns));
    const references = rows.map((numbers, row) => {
      const own = tensor(numbers, [1, columns], { device: on.device });
      return { row, own, of: make([['row', own]]) };
    });
    for (const [step, read] of reads.entries()) {
      const whole = denseOf(gradientOf(table, read, step));
      const dense = await whole.data();
      const gradient = gradientOf(table, read, step);
      optimiser.step([gradient], { learningRate: 0.01 });
      disposeAll([whole, gradient]);
      for (const { row, of } of references) {
        if (!read.includes(row)) {
          // t counts updates of the table
          const state = of.state();
          of.load({ ...state, steps: step + 1, updates: { row: step + 1 } });
          continue;
        }
        const part = tensor(dense.slice(row * columns, (row + 1) * columns), [1, columns], { device: on.device });
        of.step([part], { learningRate: 0.01 });
        part.dispose();
      }
    }
    const after = await table.data();
    const kept = optimiser.state().tensors;
    for (const { row, own, of } of references) {
      expectSameBits(`row ${row}`, after.slice(row * columns, (row + 1) * columns), await own.data());
      for (const [i, [name, slot]] of of.state().tensors.entries()) {
        const all = await kept[i]![1].data();
        expectSameBits(`${name} of ${row}`, all.slice(row * columns, (row + 1) * columns), await slot.data());
      }
      of.dispose();
      own.dispose();
    }
    const never = [2, 4, 5, 6, 7, 8, 10, 11, 12, 13];
    for (const row of never) {
      expectSameBits('unread', after.slice(row * columns, (row + 1) * columns), rows[row]!);
    }
    optimiser.dispose();
    table.dispose();
  });

  test.each(rules)('%s touches as many bytes as were read', (_, make) => {
    const bytesOf = (length: number): number => {
      const table = tableOf(length);
      const optimiser = make([['table', table]]);
      const gradient = gradientOf(table, reads[0]!, 0);
      const before = on.device.counters.bytesMoved;
      optimiser.step([gradient], { learningRate: 0.01 });
      const moved = on.device.counters.bytesMoved - before;
      optimiser.dispose();
      disposeAll([table, gradient]);
      return moved;
    };
    expect(bytesOf(50_000)).toBe(bytesOf(100));
  });

  test('clipping measures and scales rows as it does the whole', async () => {
    const table = tableOf(15);
    const [sparse, other] = [gradientOf(table, reads[0]!, 0), gradientOf(table, reads[0]!, 0)];
    const dense = denseOf(other);
    const bias = (): Tensor => tensor([3, 4], [2], { device: on.device });
    const [biasOne, biasTwo] = [bias(), bias()];
    const one = await clipGradients(
      [
        ['table', sparse],
        ['bias', biasOne],
      ],
      1,
      { unscale: 4 },
    );
    const two = await clipGradients(
      [
        ['table', dense],
        ['bias', biasTwo],
      ],
      1,
      { unscale: 4 },
    );
    expectClose('norm', [one.norm], [two.norm]);
    const spread = denseOf(sparse);
    expectClose('clipped', await spread.data(), await dense.data());
    disposeAll([spread, dense, biasOne, biasTwo, table]);
  });

  test('a gradient that is not finite is named', async () => {
    const table = tableOf(4);
    const gradient = scope(() => {
      const out = weighRows(
        tensor([1, Infinity], [1, 2], { device: on.device }),
        table,
        tensor(Int32Array.of(1, 2), [1, 2], { device: on.device }),
      );
      const d = tensor(new Float32Array(columns).fill(1), [1, columns], { device: on.device });
      return gradients([out], [table], [d], { rows: true })[0]!;
    });
    expect((await clipGradients([['values', gradient]], 1)).nonFinite).toBe('values');
    disposeAll([gradient, table]);
  });

  test('adafactor refuses: it keeps means of all', async () => {
    const table = tableOf(15);
    const optimiser = adafactor([['memory.values', table]]);
    const gradient = gradientOf(table, reads[0]!, 0);
    const before = await table.data();
    expect(() => optimiser.step([gradient], { learningRate: 0.01 })).toThrow(
      'adafactor.step: gradients of memory.values are of the rows that were read, and adafactor keeps means over all rows; take adamW, sgd or lion',
    );
    expectSameBits('table', await table.data(), before);
    expect(optimiser.steps).toBe(0);
    optimiser.dispose();
    disposeAll([gradient, table]);
  });
});
