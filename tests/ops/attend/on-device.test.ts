// of ops/attend/{arguments,key-rows}

import { expect, test } from 'vitest';
import { global, within } from '../../../src/masks/index.js';
import { add, attend } from '../../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { onEveryDevice } from '../../support/devices.js';

const n = 200;
// keys far apart are gathered: their list is on the device too
const far = global([0, 50, 100, 150], { access: 'readOnly' });
const mask = within({ radius: 8 }).or(far);

onEveryDevice((on) => {
  const make = (seed: number): Tensor =>
    tensor(
      Float32Array.from({ length: n * 4 }, (_, i) => Math.sin(seed + i)),
      [1, 1, n, 4],
      { device: on.device, requiresGradient: true },
    );

  test('calls of one plan share what is on the device, until the last lets go', () => {
    const { ledger } = on.device;
    const [q, k, v] = [1, 2, 3].map(make) as [Tensor, Tensor, Tensor];
    const held = (): number => ledger.live('plan');
    const before = held();
    const first = attend(q, k, v, { mask });
    const once = held() - before;
    expect(once).toBeGreaterThan(0);
    const second = attend(k, q, v, { mask });
    expect(held() - before).toBe(once);
    disposeAll(first);
    expect(held() - before).toBe(once);
    disposeAll(second);
    expect(held()).toBe(before);
    disposeAll([q, k, v]);
  });

  test('the backward pass uploads nothing of the plan again', () => {
    const [q, k, v] = [1, 2, 3].map(make) as [Tensor, Tensor, Tensor];
    const { out, logsumexp } = scope(() => attend(q, k, v, { mask }));
    const { device } = on;
    const write = device.write.bind(device);
    const written: number[] = [];
    device.write = (buffer, data, offset) => {
      written.push(data.byteLength);
      write(buffer, data, offset);
    };
    try {
      scope(
        () => void gradients([add(out, out)], [q, k, v], [tensor(new Float32Array(n * 4), [1, 1, n, 4], { device })]),
      );
    } finally {
      device.write = write;
    }
    // the cotangent of 3200 bytes, flags of 256, which a GPU has no use for, and numbers of steps and zeros
    const flags = on.kind === 'webgpu' ? [] : [256];
    expect(written.filter((bytes) => bytes > 64)).toEqual([3200, ...flags]);
    disposeAll([q, k, v, out, logsumexp]);
  });
});
