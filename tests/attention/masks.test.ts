import { expect, test } from 'vitest';
import { flash, mechanisms } from '../../src/attention/index.js';
import { takesMask } from '../../src/attention/definition.js';
import { document } from '../../src/masks/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { uniform } from '../support/random.js';

const [B, H, n, D] = [1, 2, 16, 4];
const size = B * H * n * D;
const texts = document(Array.from({ length: n }, (_, i) => (i < 7 ? 3 : 1)));

onWebAssemblyFirst((on) => {
  /** The second text has other numbers. */
  const made = (seed: number, other = false): Tensor => {
    const data = uniform(seed, size);
    if (other) data.set(data.map((x, i) => (Math.floor(i / D) % n < 7 ? x : x + 5)));
    return tensor(data, [B, H, n, D], { device: on.device });
  };

  test.each(mechanisms.map((one) => [one.name, one] as const))(
    '%s: a text sees nothing of another that the mask keeps apart, or the mask is refused',
    async (_, one) => {
      const { supports } = one.definition;
      const options = { causal: supports.causal !== false, mask: texts };
      const run = (other: boolean): Tensor =>
        scope(() => one.run(made(1, other), made(2, other), made(3, other), options).out);
      if (!takesMask(one.definition)) {
        expect(() => run(false)).toThrow(`${one.name}: it takes no mask`);
        return;
      }
      const outs = [run(false), run(true)];
      const [first, second] = await Promise.all(outs.map((out) => out.data()));
      for (let head = 0; head < H; head++) {
        const at = head * n * D;
        expectSameBits('the first text', second!.slice(at, at + 7 * D), first!.slice(at, at + 7 * D));
        expect(second!.slice(at + 7 * D, at + n * D)).not.toEqual(first!.slice(at + 7 * D, at + n * D));
      }
      disposeAll(outs);
    },
  );

  test('what is no mask is refused', () => {
    scope(() => {
      expect(() => flash.run(made(1), made(2), made(3), { mask: 3 as never })).toThrow(
        'mask must be a Mask, such as document(ids); got 3',
      );
      expect(() => flash.decoder({ maxLength: 8, mask: texts })).toThrow('it takes no mask: those are of run');
    });
  });
});
