// of tensor/leaves

import { expect, test } from 'vitest';
import { add, exp, matmul, mul, softmax, sum } from '../../src/ops/index.js';
import { recompute, disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

onEveryDevice((on) => {
  const leaf = (seed: number, requiresGradient = true): Tensor =>
    tensor(uniform(seed, 60 * 60), [60, 60], { device: on.device, requiresGradient });

  /** Two results, one of which is not used in every test. */
  const f = (a: Tensor, b: Tensor): Tensor[] => {
    const weights = softmax(matmul(a, b));
    return [mul(weights, exp(a)), matmul(weights, weights)];
  };
  const plainly = (a: Tensor, b: Tensor): Tensor[] => scope(() => f(a, b));

  test('the same values and gradients, bit for bit', async () => {
    const [a, b, d0, d1] = [leaf(1), leaf(2), leaf(3, false), leaf(4, false)];
    const [plain, kept] = [plainly(a, b), recompute(f, [a, b])];
    const [want, got] = [plain, kept].map((outputs) => gradients([...outputs], [a, b], [d0, d1]));
    for (const [i, x] of [...plain, ...want!].entries()) {
      expect(await [...kept, ...got!][i]!.data()).toEqual(await x.data());
    }
    disposeAll([a, b, d0, d1, plain, kept, want, got]);
  });

  test('keeps only the inputs between the passes', () => {
    const [a, b] = [leaf(1), leaf(2)];
    const before = on.device.ledger.live();
    const outputs = recompute(f, [a, b]);
    const held = on.device.ledger.live() - before;
    expect(held).toBe(outputs.reduce((bytes, x) => bytes + x.byteLength, 0));
    disposeAll([a, b, outputs]);
  });

  test('one output, one input that needs a gradient, one after the other', async () => {
    const [a, b] = [leaf(1), leaf(2, false)];
    const through = (x: Tensor): Tensor => recompute(f, [x, b])[0]!;
    const [loss, plainLoss] = scope(() => [sum(through(through(a))), sum(plainly(plainly(a, b)[0]!, b)[0]!)] as const);
    const [da] = gradients([loss], [a]);
    const [plain] = gradients([plainLoss], [a]);
    expect(await da!.data()).toEqual(await plain!.data());
    disposeAll([a, b, loss, plainLoss, da, plain]);
  });

  test('results that are inputs, or the same twice', async () => {
    const [a, b] = [leaf(1), leaf(2)];
    const before = on.device.ledger.live();
    const [x, first, second] = recompute(
      (y, z) => {
        const product = mul(y, z);
        return [y, product, product];
      },
      [a, b],
    );
    const [da, db] = gradients([x!, first!, second!], [a, b], [a, b, b]);
    const want = scope(() => [add(a, mul(mul(b, b), 2)), mul(mul(a, b), 2)]);
    expect(await da!.data()).toEqual(await want[0]!.data());
    expect(await db!.data()).toEqual(await want[1]!.data());
    disposeAll([x, first, second, da, db, want]);
    expect(on.device.ledger.live()).toBe(before);
    disposeAll([a, b]);
  });

  test('records nothing where nothing is recorded', () => {
    const [a, b] = [leaf(1), leaf(2)];
    const outputs = noGradient(() => recompute(f, [a, b]));
    expect(outputs.map((x) => x.requiresGradient)).toEqual([false, false]);
    disposeAll([a, b, outputs]);
  });
});
