// of attention/returned

import { expect, test } from 'vitest';
import { slidingWindow } from '../../src/attention/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

onEveryDevice((on) => {
  test('layers of one batch share a plan: the same pattern, and the same lengths', () => {
    const make = (seed: number): Tensor =>
      tensor(
        Float32Array.from({ length: 2 * 40 * 4 }, (_, i) => Math.sin(seed + i)),
        [2, 1, 40, 4],
        { device: on.device, requiresGradient: true },
      );
    const [q, k, v] = [1, 2, 3].map(make) as [Tensor, Tensor, Tensor];
    const held = (): number => on.device.ledger.live('plan');
    const run = (lengths: readonly number[]): Tensor =>
      scope(() => slidingWindow.run(q, k, v, { radius: 4, causal: true, lengths: [...lengths] }).out);
    const first = run([40, 17]);
    const once = held();
    expect(once).toBeGreaterThan(0);
    const second = run([40, 17]);
    expect(held()).toBe(once);
    const other = run([40, 18]);
    expect(held()).toBeGreaterThan(once);
    disposeAll([q, k, v, first, second, other]);
  });
});
