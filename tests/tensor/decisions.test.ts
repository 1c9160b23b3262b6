import { expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { add, argsort, mul, takeAlong } from '../../src/ops/index.js';
import {
  recompute,
  decided,
  disposeAll,
  gradients,
  noGradient,
  scope,
  tensor,
  type Tensor,
} from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const rows = 8;

onEveryDevice((on) => {
  const leaf = (seed: number): Tensor =>
    tensor(uniform(seed, rows), [rows], { device: on.device, requiresGradient: true });

  /** Rows of x in another order each time it is asked, as a hash of perturbed numbers might give; counts how often. */
  class Shuffle {
    made = 0;
    readonly #orders: Int32Array[] = [];

    /** x · x[order], whose gradient shows the order. */
    readonly run = (x: Tensor): Tensor =>
      scope(() => {
        const [order] = decided(() => {
          this.made++;
          const next = Int32Array.from({ length: rows }, (_, i) => (3 * i + this.made) % rows);
          this.#orders.push(next);
          return [tensor(next, [rows], { device: on.device })];
        });
        return mul(x, takeAlong(x, order!));
      });

    /** What `run` would give now with the order that was decided `at`. */
    frozen(at: number): (x: Tensor) => Tensor {
      return (x) => scope(() => mul(x, takeAlong(x, tensor(this.#orders[at]!, [rows], { device: on.device }))));
    }
  }

  /** The value of f and the gradients of x for a random cotangent. */
  const both = async (f: (x: Tensor) => Tensor): Promise<Float32Array[]> => {
    const results = scope(() => {
      const x = leaf(1);
      const y = f(x);
      const [dx] = gradients([y], [x], [tensor(uniform(2, rows), [rows], { device: on.device })]);
      return [y, dx!];
    });
    const data = (await Promise.all(results.map((one) => one.data()))) as Float32Array[];
    disposeAll(results);
    return data;
  };

  const expectEqual = (got: Float32Array[], want: Float32Array[]): void => {
    expectSameBits('y', got[0]!, want[0]!);
    expectSameBits('dx', got[1]!, want[1]!);
  };

  /** The orders that were decided, one after the other. */
  const all = (shuffle: Shuffle, count: number) => (x: Tensor) =>
    scope(() => Array.from({ length: count }).reduce<Tensor>((y, _, at) => shuffle.frozen(at)(y), x));

  const kept = (f: (x: Tensor) => Tensor) => (x: Tensor) => recompute((input) => [f(input)], [x])[0]!;

  test('without a recompute around, every call decides anew, and gives no gradients', () => {
    const x = leaf(1);
    let made = 0;
    const decide = () =>
      decided(() => {
        made++;
        return [argsort(x), mul(x, x)];
      });
    const results = [...decide(), ...decide()];
    expect(made).toBe(2);
    expect(results.some((one) => one.requiresGradient)).toBe(false);
    disposeAll([x, results]);
  });

  test('a recompute decides once: its gradients are those of the order of its forward pass', async () => {
    const shuffle = new Shuffle();
    const got = await both(kept(shuffle.run));
    expect(shuffle.made).toBe(1);
    expectEqual(got, await both(shuffle.frozen(0)));
  });

  test('several decisions come back in their order, in recomputations one after the other', async () => {
    const shuffle = new Shuffle();
    const [f, g] = [kept(shuffle.run), kept((x) => scope(() => shuffle.run(shuffle.run(x))))];
    const got = await both((x) => scope(() => f(g(f(g(x))))));
    expect(shuffle.made).toBe(6);
    expectEqual(got, await both(all(shuffle, 6)));
  });

  test('recomputations within recomputations, three deep', async () => {
    const shuffle = new Shuffle();
    const inner = (x: Tensor): Tensor => scope(() => shuffle.run(kept(shuffle.run)(x)));
    const middle = (x: Tensor): Tensor => scope(() => kept(inner)(shuffle.run(x)));
    const got = await both(kept((x) => scope(() => shuffle.run(kept(middle)(x)))));
    expect(shuffle.made).toBe(4);
    expectEqual(got, await both(all(shuffle, 4)));
  });

  test('a decision made of decisions is one', async () => {
    const shuffle = new Shuffle();
    const nested = (x: Tensor): Tensor => scope(() => add(x, decided(() => [shuffle.run(shuffle.run(x))])[0]!));
    await both(kept(nested));
    expect(shuffle.made).toBe(2);
  });

  test('sweeping twice repeats the same decisions', async () => {
    const shuffle = new Shuffle();
    const x = leaf(1);
    const y = kept(shuffle.run)(x);
    const [first, second] = [gradients([y], [x], [x]), gradients([y], [x], [x])];
    expect(shuffle.made).toBe(1);
    expectSameBits('dx', await second[0]!.data(), await first[0]!.data());
    disposeAll([x, y, first, second]);
  });

  test('what was decided lives as long as the history, and not where nothing is recorded', () => {
    const { ledger } = on.device;
    const shuffle = new Shuffle();
    const x = leaf(1);
    const before = ledger.live();
    const y = kept(shuffle.run)(x);
    expect(ledger.live() - before).toBe(y.byteLength + 4 * rows);
    disposeAll(gradients([y], [x], [x], { release: true }));
    expect(ledger.live() - before).toBe(y.byteLength);
    y.dispose();
    const plain = noGradient(() => kept(shuffle.run)(x));
    expect(ledger.live() - before).toBe(plain.byteLength);
    disposeAll([x, plain]);
  });

  test('nothing is left when a pass fails after a decision', () => {
    const x = leaf(1);
    const shuffle = new Shuffle();
    const fails = (): readonly Tensor[] =>
      recompute(
        (input) => {
          shuffle.run(input);
          throw new Error('broken');
        },
        [x],
      );
    expect(fails).toThrow('broken');
    // and the next decision is nobody's
    disposeAll(decided(() => [tensor([1], [1], { device: on.device })]));
    x.dispose();
  });

  test('refuses a function that decides more or less often the second time', () => {
    for (const [first, second] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const shuffle = new Shuffle();
      const x = leaf(1);
      let runs = 0;
      const y = kept((input) =>
        scope(() => {
          const times = runs++ === 0 ? first : second;
          return Array.from({ length: times }).reduce<Tensor>((z) => shuffle.run(z), input);
        }),
      )(x);
      expect(() => scope(() => gradients([y], [x], [x]))).toThrow(OptionError);
      disposeAll([x, y]);
    }
  });
});
