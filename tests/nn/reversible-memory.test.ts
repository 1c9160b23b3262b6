import { expect, test } from 'vitest';
import { RehearsalDevice, type Device, type Ledger } from '../../src/devices/index.js';
import { checkpointed, ModuleList, reversible, type ReversibleLayer } from '../../src/nn/index.js';
import { add } from '../../src/ops/index.js';
import { disposeAll, gradients, noGradient, scope, zeros, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';
import { Layer, layersOf, plainly, type LayerOptions } from './two-streams.js';

const [n, features] = [256, 16];
const streamBytes = 4 * n * features;
type Stack = (layers: readonly ReversibleLayer[], x1: Tensor, x2: Tensor) => readonly [Tensor, Tensor];

interface Step {
  readonly depth: number;
  readonly stack: Stack;
  readonly options?: Partial<LayerOptions>;
}

interface Taken {
  /** Held between the passes beside the inputs and parameters. */
  readonly held: number;
  /** Most of it all, beside the gradients of the parameters too. */
  readonly peak: number;
}

/** What a training step takes. */
function take(device: Device, ledger: Ledger, { depth, stack, options }: Step): Taken {
  const root = new ModuleList(Array.from({ length: depth }, () => new Layer({ features, ...options })))
    .initialise({ device, seed: 1 })
    .train({ seed: 1, step: 1 });
  const parameters = [...root.namedParameters().values()].map(({ value }) => value);
  const xs = [0, 1].map(() => zeros([1, n, features], { device, requiresGradient: true })) as [Tensor, Tensor];
  const before = ledger.mark();
  const ys = stack(layersOf(root.items), ...xs);
  const held = ledger.live() - before;
  disposeAll(gradients([...ys], [...xs, ...parameters], ys, { release: true }));
  disposeAll(ys);
  expect(ledger.live()).toBe(before);
  const gradientBytes = parameters.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  const peak = ledger.peak - before - gradientBytes;
  disposeAll(xs);
  root.dispose();
  return { held, peak };
}

/** `x1 + x2` through layers `x + f(x)`, `x + g(x)`, kept in groups. */
const inGroups =
  (every: number): Stack =>
  (layers, x1, x2) => {
    const each = layers.map(({ modules, f, g }) => ({
      modules,
      forward: (x: Tensor) =>
        scope(() => {
          const y = add(x, f(x));
          return add(y, g(y));
        }),
    }));
    return scope(() => [checkpointed(each, every, add(x1, x2)), add(x1, x2)] as const);
  };

onEveryDevice((on) => {
  const taken = (step: Step): Taken => take(on.device, on.device.ledger, step);
  const dropped = { rate: 0.5 };

  test('the memory of a training step does not depend on the number of reversible layers', () => {
    const [two, twelve] = [2, 12].map((depth) => taken({ depth, stack: reversible, options: dropped }));
    expect(twelve!.held).toBe(2 * streamBytes);
    expect(twelve!.peak).toBeLessThanOrEqual(1.3 * two!.peak);
    // one plain layer, and the streams at its end
    const one = taken({ depth: 1, stack: plainly, options: dropped });
    expect(twelve!.peak).toBeLessThanOrEqual(one.peak + 2 * streamBytes);
    // what it is for
    expect(twelve!.peak).toBeLessThan(taken({ depth: 12, stack: plainly, options: dropped }).peak / 5);
  });

  test('beside the streams, only the buckets of a hash are kept', () => {
    const hashed = { length: n, chunkLength: 32, rounds: 2 };
    const { held } = taken({ depth: 3, stack: reversible, options: { hashed } });
    expect(held).toBe(2 * streamBytes + 3 * 2 * (4 * 2 * n));
  });

  test('without gradients, each half frees what the one before took', () => {
    const { device } = on;
    const most = [2, 12].map((depth) => {
      const root = new ModuleList(Array.from({ length: depth }, () => new Layer({ features })));
      root.initialise({ device, seed: 1 });
      const x = zeros([1, n, features], { device });
      const before = device.ledger.mark();
      const ys = noGradient(() => reversible(layersOf(root.items), x, x));
      const peak = device.ledger.peak - before;
      expect(device.ledger.live() - before).toBe(2 * streamBytes);
      disposeAll([x, ys]);
      root.dispose();
      return peak;
    });
    expect(most[1]).toBe(most[0]);
  });

  test('groups of layers: what goes into each group, and what one group keeps', () => {
    const layer = taken({ depth: 9, stack: inGroups(9) }).held / 9;
    const one = taken({ depth: 1, stack: inGroups(1) });
    for (const every of [1, 2, 3, 4, 8]) {
      const groups = Math.ceil(9 / every);
      const last = 9 - (groups - 1) * every;
      const { held, peak } = taken({ depth: 9, stack: inGroups(every) });
      // the sum, its other copy, and what goes into the groups after the first
      const inputs = (groups - 1) * streamBytes;
      expect(Math.abs(held - inputs - last * layer)).toBeLessThanOrEqual(2 * streamBytes);
      expect(peak).toBeLessThan(inputs + every * layer + (one.peak - one.held) + 2 * streamBytes);
    }
  });

  test.each([
    ['reversible', reversible, dropped],
    ['reversible, hashed', reversible, { hashed: { length: n, chunkLength: 32, rounds: 2 } }],
    ['in groups', inGroups(2), dropped],
  ] as const)('a device that only counts says the peak of %s', (_, stack, options) => {
    const counting = new RehearsalDevice({ like: on.device.info });
    const step = { depth: 5, stack, options };
    expect(take(counting, counting.ledger, step)).toEqual(taken(step));
  });

  test('a layer hashes in the forward pass only', () => {
    const counting = new RehearsalDevice({ like: on.device.info });
    const options = { hashed: { length: n, chunkLength: 32, rounds: 2 } };
    for (const [stack, depth] of [
      [reversible, 3],
      [inGroups(2), 5],
    ] as const) {
      const before = counting.work.get('argmax')?.dispatches ?? 0;
      take(counting, counting.ledger, { depth, stack, options });
      // two rounds, each of one hash or more
      const hashes = counting.work.get('argmax')!.dispatches - before;
      const once = new RehearsalDevice({ like: on.device.info });
      take(once, once.ledger, { depth: 1, stack: plainly, options });
      expect(hashes).toBe(depth * once.work.get('argmax')!.dispatches);
    }
  });
});
