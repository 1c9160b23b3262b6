import { tensor, type Tensor } from '../../../src/tensor/index.js';
import type { Device } from '../../../src/devices/index.js';

/** The tiny problem of the specification, G.2: six tokens, one head, keys of 4 and values of 3. */
export function tinyProblem(device: Device): readonly [Tensor, Tensor, Tensor] {
  const make = (columns: number, f: (i: number) => number): Tensor =>
    tensor(
      Array.from({ length: 6 * columns }, (_, i) => f(i)),
      [1, 1, 6, columns],
      { device },
    );
  return [make(4, (i) => Math.sin(1 + i)), make(4, (i) => Math.cos(2 + i)), make(3, (i) => Math.sin(3 + 0.5 * i))];
}

/** Its numbers are given to six places. */
export const tinyBudget = 1e-6;

/** Rows 0 and 5 of an output. */
export async function tinyRows(out: Tensor): Promise<readonly [number[], number[]]> {
  const numbers = Array.from(await out.data());
  out.dispose();
  return [numbers.slice(0, 3), numbers.slice(15)];
}
