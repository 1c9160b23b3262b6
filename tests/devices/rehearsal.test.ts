import { describe, expect, test } from 'vitest';
import { RehearsalDevice } from '../../src/devices/index.js';
import { add, attend, matmul, softmax } from '../../src/ops/index.js';
import { within } from '../../src/masks/index.js';
import { disposeAll, empty, full, gradients, scope, trackLeaf, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { onEveryDevice } from '../support/devices.js';

/** A little of everything, forward and backward. */
function work(device: Device): void {
  scope(() => {
    const x = empty([1, 2, 150, 24], 'f32', device);
    if (device.info.kind !== 'rehearsal') device.write(x.buffer, new Float32Array(x.size).fill(0.25));
    trackLeaf(x);
    const { out } = attend(x, x, x, { causal: true, mask: within({ radius: 20 }) });
    const y = softmax(matmul(add(out, x), out, { transposeB: true }));
    gradients([y], [x], [full(y.shape, 1, { device })]);
  });
}

onEveryDevice((on) => {
  test('counts what a real run takes: peak bytes, dispatches, multiply-adds, bytes moved', () => {
    const { device } = on;
    const rehearsal = new RehearsalDevice({ like: device.info });
    const start = device.ledger.mark();
    const before = { ...device.counters };
    work(device);
    work(rehearsal);
    expect(rehearsal.ledger.peak).toBe(device.ledger.peak - start);
    expect(rehearsal.ledger.live()).toBe(0);
    for (const name of ['dispatches', 'multiplyAdds', 'bytesMoved'] as const) {
      expect(rehearsal.counters[name], name).toBe(device.counters[name] - before[name]);
    }
  });
});

const like = { width: 4, threads: 2 };

describe('a device that only counts', () => {
  test('takes no memory: a tensor of 4 GB', () => {
    const device = new RehearsalDevice({ like });
    const x = empty([2 ** 30], 'f32', device);
    expect(device.ledger.live()).toBe(2 ** 32);
    x.dispose();
  });

  test('refuses what exceeds its limit, naming the bytes', () => {
    const device = new RehearsalDevice({ like, memoryLimit: 1000 });
    expect(() => empty([300], 'f32', device)).toThrow(/1200 bytes asked, 0 held, 1000 allowed/);
  });

  test('tells kernels apart, and pairs in tiles from pairs that are needed', () => {
    const device = new RehearsalDevice({ like });
    const x = empty([1, 1, 500, 8], 'f32', device);
    const { out, logsumexp, counters } = attend(x, x, x, { mask: within({ radius: 10 }) });
    expect(device.work.get('attend forward')).toMatchObject({ dispatches: 1, multiplyAdds: counters.multiplyAdds });
    expect(device.counters.multiplyAdds - device.counters.wastedMultiplyAdds!).toBe(counters.pairsNeeded * 16);
    disposeAll([x, out, logsumexp] satisfies Tensor[]);
  });
});
