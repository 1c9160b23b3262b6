import { test } from 'vitest';

/** Whether everything runs everywhere, as `npm run test:full` asks for. */
export const full = process.env['SUBQUAD_FULL'] === '1';

/**
 * A test of the full run, and of `npm run test:rest`, which finds it by the first word of its name: it takes seconds and sees
 * what no other test does not see in smaller.
 */
export function sweep(name: string, body: () => void | Promise<void>): void {
  test.skipIf(!full)(`sweep: ${name}`, body);
}
