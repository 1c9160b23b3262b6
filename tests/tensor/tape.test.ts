import { expect, test } from 'vitest';
import { variable } from '../../src/codegen/expression/index.js';
import { runElementwise } from '../../src/tensor/elementwise.js';
import { empty, gradients, operation, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

const [x0, x1] = [variable('x0', 'f32'), variable('x1', 'f32')];
const product = x0.mul(x1);

function multiply(a: Tensor, b: Tensor): Tensor {
  const out = empty(a.shape, 'f32', a.device);
  runElementwise(product, [a, b], out);
  operation('multiply', [a, b], [out], ([d]) => [multiply(d!, b), multiply(d!, a)], [a, b]);
  return out;
}

onEveryDevice((on) => {
  test('a product has the other factor as gradient', async () => {
    const x = tensor([1, 2, 3], [3], { device: on.device, requiresGradient: true });
    const y = scope(() => multiply(multiply(x, x), x));
    const seed = tensor([1, 1, 1], [3], { device: on.device });
    const [dx] = gradients([y], [x], [seed]);
    expect([...(await dx!.data())]).toEqual([3, 12, 27]);
    for (const t of [x, y, dx!, seed]) t.dispose();
  });
});
