import { describe, expect, test } from 'vitest';
import { DeviceError } from '../../../src/core/errors.js';
import { add, matmul, mul } from '../../../src/ops/index.js';
import { keep, scope, tensor, writable, type Tensor } from '../../../src/tensor/index.js';
import { onEveryDevice } from '../../support/devices.js';

describe('a recorded step', () => {
  onEveryDevice((on) => {
    const x = (...numbers: number[]): Tensor => tensor(numbers, [1, numbers.length], { device: on.device });

    test('runs again on what the host wrote since, in memory that is handed on within the step', async () => {
      if (on.device.record === undefined) return;
      const [a, w] = [x(1, 2), tensor([1, 2, 3, 4], [2, 2], { device: on.device })];
      let out: Tensor | undefined;
      const before = on.device.ledger.live();
      const recording = on.device.record(() => {
        out = scope(() => {
          const other = tensor([10, 20], [1, 2], { device: on.device });
          const first = add(matmul(a, w), other);
          other.dispose();
          const second = mul(first, 2);
          first.dispose();
          // in the memory of what is gone
          return keep(add(second, tensor([100, 200], [1, 2], { device: on.device })));
        });
      });
      expect([...(await out!.data())]).toEqual([2 * (7 + 10) + 100, 2 * (10 + 20) + 200]);
      on.device.write(writable(a), Float32Array.of(0, 1));
      // others take memory meanwhile
      const meanwhile = x(5, 5);
      recording.replay();
      expect([...(await out!.data())]).toEqual([2 * (3 + 10) + 100, 2 * (4 + 20) + 200]);
      // what it reads stays although it was freed
      w.dispose();
      const rest = Array.from({ length: 4 }, () => x(9, 9, 9, 9));
      on.device.write(writable(a), Float32Array.of(1, 0));
      recording.replay();
      expect([...(await out!.data())]).toEqual([2 * (1 + 10) + 100, 2 * (2 + 20) + 200]);
      recording.dispose();
      recording.dispose();
      for (const one of [a, out!, meanwhile, ...rest]) one.dispose();
      expect(on.device.ledger.live()).toBeLessThanOrEqual(before);
    });

    test('what throws records nothing; one at a time', () => {
      const record = on.device.record?.bind(on.device);
      if (record === undefined) return;
      const failing = (): void => {
        x(1).dispose();
        throw new Error('no');
      };
      expect(() => record(failing)).toThrow('no');
      expect(() => record(() => void record(() => undefined))).toThrow(DeviceError);
      record(() => undefined).dispose();
    });
  });
});
