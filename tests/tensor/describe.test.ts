import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { createDevice, RehearsalDevice } from '../../src/devices/index.js';
import { full, tensor, zeros } from '../../src/tensor/index.js';
import { dtypes } from '../../src/core/dtype.js';
import { onEveryDevice } from '../support/devices.js';

onEveryDevice((on) => {
  test('console.log shows shape, dtype, device and the first values', () => {
    const { device } = on;
    const numbers = Float32Array.of(0.1, -2, 3e-7, 1 / 3, NaN, Infinity, 7, 8);
    const x = tensor(numbers, [2, 4], { device, requiresGradient: true });
    // a device that answers later has none yet
    const values = (text: string): string => (on.kind === 'queue' || on.kind === 'webgpu' ? '' : `: ${text}`);
    expect(inspect(x)).toBe(
      `Tensor f32[2,4] on ${device.info.kind}, requires gradient${values('0.1, -2, 3e-7, 0.33333, NaN, Infinity, …')}`,
    );
    expect(inspect({ x })).toContain('Tensor f32[2,4]');
    expect(String(x)).toBe(inspect(x));
    for (const dtype of dtypes) {
      const y = full([3], 2, { device, dtype });
      expect(inspect(y)).toBe(`Tensor ${dtype}[3] on ${device.info.kind}${values('2, 2, 2')}`);
      y.dispose();
    }
    x.dispose();
    expect(inspect(x)).toMatch(/, disposed$/);
  });
});

test('a tensor of a device without values, or of one that is gone, is shown without', async () => {
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const y = zeros([2, 3], { device: new RehearsalDevice({ like: device.info }) });
  expect(inspect(y)).toBe('Tensor f32[2,3] on rehearsal');
  y.dispose();
  const x = zeros([2], { device });
  await device.dispose();
  expect(inspect(x)).toBe('Tensor f32[2] on wasm, of a device that was disposed');
  x.dispose();
});
