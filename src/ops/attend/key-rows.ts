import { launchScatterAdd } from '../../kernels/gather/launch.js';
import { zeros } from '../../tensor/create.js';
import type { Tensor } from '../../tensor/tensor.js';
import { pickRows } from '../gather-rows.js';

/** Which rows of k and v a part of a plan is about, and where their gradients go. */
export interface KeyRows {
  /** Those rows, of all. */
  pick(all: Tensor): Tensor;
  /** What the gradients of those rows are added to, for sums over all rows. */
  sums(all: Tensor): Tensor;
  /** Adds what `sums` gave to the sums over all rows, once it is complete. */
  place(sums: Tensor, all: Tensor): void;
}

export const allRows: KeyRows = { pick: (all) => all, sums: (all) => all, place: () => undefined };

/** The rows in a list, `index` `[B, G, m]`. */
export const listedRows = (index: Tensor): KeyRows => ({
  pick: (all) => pickRows(all, index),
  sums: ({ shape, device }) => zeros([...index.shape, shape[3]!], { device }),
  place: (sums, all) => {
    const [B, G, S, columns] = all.shape as [number, number, number, number];
    const rows = { outer: B * G, length: S, inner: columns, count: index.shape[2]!, along: true };
    launchScatterAdd(all.device, 'f32', index.buffer, sums.buffer, all.buffer, rows);
  },
});
