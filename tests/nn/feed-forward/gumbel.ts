import type { Device } from '../../../src/devices/index.js';
import { withNoise } from '../../../src/ops/noise.js';
import { full, scope } from '../../../src/tensor/index.js';

/** The Gumbel noise of a layer of blocks, as the generator of the device draws it for rows of `hidden` units; not what is tested there. */
export async function gumbelNoise(
  device: Device,
  [rows, hidden]: readonly [number, number],
  place: { readonly seed: number; readonly purpose: string },
): Promise<number[]> {
  const uniform = scope(() => withNoise('test', full([rows, hidden], 0.5, { device }), place, 'jitter', { factor: 1 }));
  const numbers = await uniform.data();
  uniform.dispose();
  return Array.from(numbers, (u) => -Math.log(-Math.log(u + 2 ** -25)));
}
