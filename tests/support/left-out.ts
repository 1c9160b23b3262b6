import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { isOfKernels } from './is-of-kernels.js';

const root = join(import.meta.dirname, '../..');

/** Names of tests that `npm test` leaves out of gates, or has in smaller, and all native blocks. */
export const restPattern = 'native|sweep: |forward and backward|at random|number of threads';

/**
 * The test files of which `npm test` leaves something out, by what they say: `whole` have sweeps of their own, which look at
 * the variable; of `natively` only the native blocks, sweeps, and what `restPattern` names of gates, are left out.
 */
export function leftOut(): { readonly whole: readonly string[]; readonly natively: readonly string[] } {
  const files = readdirSync(join(root, 'tests'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('browser'))
    .map((name) => `tests/${name.split(sep).join('/')}`);
  const says = (path: string, what: RegExp): boolean => what.test(readFileSync(join(root, path), 'utf8'));
  const whole = files.filter((path) => says(path, /^import .*\bfull\b.*support\/full\.js'/m));
  const natively = files.filter(
    (path) =>
      says(path, /\b(?:fewNatively|onWebAssemblyFirst|gate|sweep)\(/) ||
      (!isOfKernels(path) && says(path, /\bonEveryDevice\(/)),
  );
  return { whole, natively: natively.filter((path) => !whole.includes(path)) };
}
