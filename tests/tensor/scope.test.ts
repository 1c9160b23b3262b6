import { beforeEach, expect, test } from 'vitest';
import { add, mul } from '../../src/ops/index.js';
import { disposeAll, keep, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice, tensorsFromNow } from '../support/devices.js';

onEveryDevice((on) => {
  let made: () => number;
  beforeEach(() => {
    made = tensorsFromNow();
  });
  const one = (value = 1): Tensor => tensor([value], [1], { device: on.device });
  const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

  test('frees what is not returned', () => {
    const y = scope(() => {
      const x = one();
      return mul(add(x, x), x);
    });
    expect(made()).toBe(1);
    y.dispose();
  });

  test('finds results anywhere: arrays, objects, maps, sets, cycles', () => {
    const result = scope(() => {
      one();
      const holder: { list: unknown[]; map: Map<string, Tensor>; set: Set<Tensor>; self?: unknown } = {
        list: [one(), [one(), { deep: one() }], 5, null, new Float32Array(4)],
        map: new Map([['a', one()]]),
        set: new Set([one()]),
      };
      holder.self = holder;
      return holder;
    });
    expect(made()).toBe(5);
    disposeAll(result);
  });

  test('what is worked out when asked is not asked for', () => {
    let asked = 0;
    const result = scope(() => ({
      kept: one(),
      get costly(): number {
        return ++asked;
      },
    }));
    expect([made(), asked]).toEqual([1, 0]);
    disposeAll(result);
    expect([made(), asked]).toEqual([0, 0]);
  });

  test('nested: results belong to the scope around', () => {
    scope(() => {
      const inner = scope(() => add(one(), one()));
      expect(made()).toBe(1);
      expect(inner.disposed).toBe(false);
    });
    expect(made()).toBe(0);
  });

  test('tensors from outside are left alone, even when returned', () => {
    const outside = one();
    scope(() => [outside, one()])[1]!.dispose();
    expect(outside.disposed).toBe(false);
    outside.dispose();
  });

  test('an error frees everything and passes through', () => {
    expect(() =>
      scope(() => {
        one();
        scope(() => one());
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(made()).toBe(0);
  });

  test('keep: out of every scope', () => {
    let kept: Tensor | undefined;
    scope(() => {
      scope(() => {
        kept = keep(one());
      });
    });
    expect(made()).toBe(1);
    kept!.dispose();
  });

  test('disposing by hand inside a scope is fine', () => {
    scope(() => {
      const x = one();
      x.dispose();
      return x;
    });
    expect(made()).toBe(0);
  });

  test('async: until the promise settles', async () => {
    const y = await scope(async () => {
      const x = one(3);
      await tick();
      const z = mul(x, x);
      await tick();
      one();
      return z;
    });
    expect(await y.item()).toBe(9);
    expect(made()).toBe(1);
    y.dispose();
    await expect(
      scope(async () => {
        one();
        await tick();
        throw new Error('later');
      }),
    ).rejects.toThrow('later');
    expect(made()).toBe(0);
  });

  test('overlapping async scopes are refused, not mixed up silently', async () => {
    const slow = scope(async () => {
      await tick();
      await tick();
      return 1;
    });
    const settled = [
      slow,
      scope(async () => {
        one();
        await tick();
        await tick();
        await tick();
        await tick();
      }),
    ].map((promise) => promise.then(String, (error: Error) => error.message));
    const texts = await Promise.all(settled);
    expect(texts[0]).toContain('an async scope ended while one opened after it was still running');
    expect(made()).toBe(0);
  });
});
