import { expect, test } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { cast, sum } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { full } from '../support/full.js';

const shape = [1, 2, 64, 8];
const size = 2 * 64 * 8;

// what is rounded on the way, in units of the largest value: features, products of them and their sum, or half of the keys
const rounded: Readonly<Record<string, number>> = { 'linear-transformer': 5, etc: 3, longformer: 2, bigbird: 2 };

onEveryDevice((on) => {
  // what is stored how does not depend on the device, and natively every mechanism has kernels to compile
  const some = on.kind === 'native' && !full;
  const few = new Set(['flash', 'chunked', 'performer']);
  const tested = mechanisms.filter(({ name }) => !some || few.has(name));

  test.each(tested.map((mechanism) => [mechanism.name, mechanism] as const))(
    '%s takes 16 bits, and gives them',
    async (name, mechanism) => {
      const options = { causal: mechanism.definition.supports.causal !== false, seed: 1 };
      for (const dtype of ['f16', 'bf16'] as const) {
        const [out, wide, ...found] = scope(() => {
          const x = [1, 2, 3].map((seed) =>
            tensor(uniform(seed, size), shape, { device: on.device, dtype, requiresGradient: true }),
          ) as [Tensor, Tensor, Tensor];
          const [q, k, v] = x.map((one) => cast(one, 'f32')) as [Tensor, Tensor, Tensor];
          const result = mechanism.run(...x, options).out;
          return [result, mechanism.run(q, k, v, options).out, ...gradients([sum(result)], x)];
        }) as [Tensor, Tensor, ...Tensor[]];
        expect(out.dtype).toBe(dtype);
        const [got, want] = [await out.data(), await wide.data()];
        const unit = (dtype === 'f16' ? 2 ** -11 : 2 ** -8) * Math.max(...want.map(Math.abs));
        expectClose(name, got, want, { budget: (rounded[name] ?? 1) * unit });
        for (const gradient of found) expect((await gradient.data()).every(Number.isFinite)).toBe(true);
        disposeAll([out, wide, found]);
      }
    },
  );
});
