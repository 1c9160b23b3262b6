// of tensor/{accumulate,row-gradient}

import { expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { add, exp, mul, reshape, softmax, square, sum } from '../../src/ops/index.js';
import { empty, gradients, noGradient, operation, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice, tensorsFromNow } from '../support/devices.js';

onEveryDevice((on) => {
  const leaf = (...values: number[]): Tensor =>
    tensor(values, [values.length], { device: on.device, requiresGradient: true });
  const plain = (...values: number[]): Tensor => tensor(values, [values.length], { device: on.device });
  const numbers = async (x: Tensor): Promise<number[]> => {
    const values = [...(await x.data())];
    x.dispose();
    return values;
  };

  test('gradients add up over every path', async () => {
    const x = leaf(1, 2, 3);
    // x³ + x², with x² used twice
    const y = scope(() => {
      const s = square(x);
      return sum(add(mul(s, x), s));
    });
    const [dx] = gradients([y], [x]);
    expect(await numbers(dx!)).toEqual([5, 16, 33]);
    x.dispose();
    y.dispose();
  });

  test('several outputs, cotangents, inputs asked for twice, and inputs nothing depends on', async () => {
    const [x, unused] = [leaf(1, 2), leaf(3, 4, 5)];
    const found = scope(() => {
      const [a, b] = [square(x), mul(x, 3)];
      return gradients([a, b], [x, unused, x], [plain(1, 10), plain(100, 1000)]);
    });
    const [first, nothing, again] = await Promise.all(found.map(numbers));
    expect(first).toEqual([302, 3040]);
    expect(again).toEqual([302, 3040]);
    expect(nothing).toEqual([0, 0, 0]);
    x.dispose();
    unused.dispose();
  });

  test('the gradient of something in the middle', async () => {
    const x = leaf(2);
    const [dm, dx] = scope(() => {
      const m = square(x);
      return gradients([mul(m, m)], [m, x]);
    });
    expect(await numbers(dm!)).toEqual([8]);
    expect(await numbers(dx!)).toEqual([32]);
    x.dispose();
  });

  test('only paths that lead to an input are swept', () => {
    const [x, w] = [leaf(1), leaf(2)];
    scope(() => {
      const swept: string[] = [];
      const spy = (name: string, a: Tensor, b: Tensor): Tensor => {
        const out = mul(
          noGradient(() => add(a, 0)),
          noGradient(() => add(b, 0)),
        );
        operation(
          name,
          [a, b],
          [out],
          ([d], needs) => {
            swept.push(`${name} ${needs.join()}`);
            return [needs[0] ? mul(d!, b) : undefined, needs[1] ? mul(d!, a) : undefined];
          },
          [a, b],
        );
        return out;
      };
      const y = spy('outer', spy('inner', x, x), spy('other', w, w));
      gradients([y], [x]);
      expect(swept).toEqual(['outer true,false', 'inner true,true']);
    });
    x.dispose();
    w.dispose();
  });

  test('noGradient records nothing, and is not for async functions', async () => {
    const x = leaf(1);
    const y = noGradient(() => square(x));
    expect(y.requiresGradient).toBe(false);
    expect(() => gradients([y], [x])).toThrow('gradients: output 0 [1] depends on no tensor that requires gradients');
    expect(() => noGradient(() => Promise.resolve(1))).toThrow('not async');
    const z = square(x);
    expect(z.requiresGradient).toBe(true);
    for (const one of [x, y, z]) one.dispose();
  });

  test('a history outlives its tensors, and no longer than its outputs', async () => {
    const { device } = on;
    const x = leaf(1, 2, 3, 4);
    const own = device.ledger.live();
    const y = scope(() => softmax(exp(square(x))));
    // x², e^(x²) and the softmax were saved
    expect(device.ledger.live()).toBeGreaterThan(own + 16);
    const seed = plain(1, 2, 3, 4);
    const [dx] = gradients([y], [x], [seed]);
    expect(await numbers(dx!)).toHaveLength(4);
    y.dispose();
    seed.dispose();
    expect(device.ledger.live()).toBe(own);
    x.dispose();
  });

  test('a leaf may go before the sweep; what was saved of it stays until then', async () => {
    const [x, w] = [leaf(3), leaf(5)];
    const y = mul(x, w);
    w.dispose();
    const [dx] = gradients([y], [x]);
    expect(await numbers(dx!)).toEqual([5]);
    expect(() => w.buffer).toThrow('was disposed');
    x.dispose();
    y.dispose();
  });

  test('a long history is freed without recursion', () => {
    const made = tensorsFromNow();
    const x = leaf(1);
    const y = scope(() => {
      let current = x;
      for (let i = 0; i < 20_000; i++) current = reshape(current, [1]);
      return current;
    });
    const [dx] = gradients([y], [x]);
    for (const one of [x, y, dx!]) one.dispose();
    expect(made()).toBe(0);
  });

  test('release frees what was saved during the sweep, once', () => {
    const { device } = on;
    const x = leaf(1, 2);
    const y = scope(() => sum(exp(square(x))));
    const before = device.ledger.live();
    const [dx] = gradients([y], [x], [], { release: true });
    dx!.dispose();
    expect(device.ledger.live()).toBeLessThan(before);
    expect(() => gradients([y], [x])).toThrow('has already used up this history');
    x.dispose();
    y.dispose();
  });

  test('an error in a rule leaves nothing behind', () => {
    const x = leaf(1, 2);
    scope(() => {
      const y = mul(x, 2);
      const z = empty([2], 'f32', on.device);
      operation('broken', [y], [z], ([d]) => {
        mul(d!, 2);
        throw new Error('broken rule');
      });
      expect(() => gradients([z], [x], [plain(1, 1)])).toThrow('broken rule');
      const narrow = empty([1], 'f32', on.device);
      operation('narrow', [y], [narrow], ([d]) => [d!]);
      expect(() => gradients([narrow], [x])).toThrow(
        'narrow: the gradient of input 0 must be f32[2]; its rule gave f32[1].',
      );
    });
    x.dispose();
  });

  test('refusals', () => {
    const x = leaf(1, 2);
    scope(() => {
      const y = square(x);
      const c = plain(1, 2, 3);
      expect(() => gradients([y], [x])).toThrow(ShapeError);
      expect(() => gradients([y], [x])).toThrow('only an output of one element has a default cotangent');
      expect(() => gradients([y], [x], [c])).toThrow(
        'gradients: cotangent 0 must be f32[2], as the output is; got f32[3].',
      );
      expect(() => gradients([sum(y)], [c])).toThrow('gradients: input 0, a tensor f32[3], does not require gradients');
      expect(() => gradients([sum(y)], [x], [plain(1), plain(1)])).toThrow('one cotangent per output');
      y.dispose();
      expect(() => gradients([y], [x])).toThrow(OptionError);
    });
    x.dispose();
  });
});
