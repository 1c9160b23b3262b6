// of nn/in-chunks

import { expect, test } from 'vitest';
import { RehearsalDevice, type Device, type Ledger } from '../../../src/devices/index.js';
import { DenseFeedForward, recompute, type FeedForwardOptions } from '../../../src/nn/index.js';
import { mul } from '../../../src/ops/index.js';
import { disposeAll, gradients, noGradient, scope, tensor, zeros } from '../../../src/tensor/index.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkModule, fill, resultsOf } from '../check.js';
import { activated, affine } from '../formulas.js';

const ways: readonly (readonly [string, FeedForwardOptions])[] = [
  ['plain', {}],
  ['plain in chunks', { chunk: 3, activation: 'relu-squared' }],
  ['SwiGLU', { gated: true, activation: 'silu' }],
  ['GEGLU with biases, in chunks', { gated: true, bias: true, chunk: 4, activation: 'gelu' }],
];

const [rows, features, hidden, chunk] = [1024, 16, 128, 64];

onEveryDevice((on) => {
  test.each(ways)('%s: values and gradients', async (name, options) => {
    const { activation = 'gelu', gated = false, bias = !gated } = options;
    await checkModule(on.device, {
      name,
      module: new DenseFeedForward(6, 10, options),
      shape: [2, 5, 6],
      run: (layer, x) => layer.forward(x),
      oracle: (g, x, p) => {
        const linear = (of: string, y: typeof x) => affine(g, y, p(`${of}.weight`), bias ? p(`${of}.bias`) : undefined);
        const hidden = gated
          ? g.mul(activated(g, activation, linear('gate', x)), linear('up', x))
          : activated(g, activation, linear('up', x));
        return linear('down', hidden);
      },
    });
  });

  /** Output and gradients with random parameters, all of it or in chunks. */
  const both = async (options: FeedForwardOptions, shape: readonly number[], chunk: number) => {
    const x = uniform(
      3,
      shape.reduce((a, b) => a * b, 1),
    );
    const run = async (own: FeedForwardOptions) => {
      const layer = new DenseFeedForward(shape.at(-1)!, 40, own).train({ seed: 5, step: 8 });
      fill(layer, on.device, 11);
      const results = await resultsOf(on.device, layer, (input) => layer.forward(input), { x, shape });
      layer.dispose();
      return results;
    };
    return [await run(options), await run({ ...options, chunk })] as const;
  };

  test('chunks give the bits of the whole, with dropout too; chunks need not divide the tokens', async () => {
    for (const [options, chunk] of [
      [{ dropout: 0.3 }, 7],
      [{ gated: true, dropout: 0.5 }, 16],
      [{ activation: 'silu' }, 32],
      [{}, 1000],
    ] as const) {
      const [whole, chunked] = await both(options, [3, 11, 12], chunk);
      expectSameBits(`forward ${chunk}`, chunked['out']!, whole['out']!);
      expectSameBits(`dx ${chunk}`, chunked['dx']!, whole['dx']!);
    }
  });

  /** Most bytes of a training step beside x and the parameters. */
  function peak(device: Device, ledger: Ledger, options: FeedForwardOptions): number {
    const layer = new DenseFeedForward(features, hidden, options)
      .initialise({ device, seed: 1 })
      .train({ seed: 1, step: 1 });
    const x = zeros([rows, features], { device, requiresGradient: true });
    const before = ledger.mark();
    const leaves = [x, ...[...layer.namedParameters().values()].map(({ value }) => value)];
    disposeAll(
      scope(() => {
        const y = layer.forward(x);
        return gradients([y], leaves, [y], { release: true });
      }),
    );
    const most = ledger.peak - before;
    x.dispose();
    layer.dispose();
    return most;
  }

  test('the hidden activations of one chunk live at a time', () => {
    const { device } = on;
    const [whole, chunked] = [peak(device, device.ledger, {}), peak(device, device.ledger, { chunk })];
    const hiddenBytes = 4 * rows * hidden;
    // the whole keeps sums and activations; their gradients come on top
    expect(whole).toBeGreaterThan(3 * hiddenBytes);
    // pieces, results, their gradients and what joins them are all [rows, features]; the hidden of a chunk and the gradients of
    // the parameters are small
    const small = (6 * hiddenBytes * chunk) / rows + 8 * 4 * 2 * features * hidden;
    expect(chunked).toBeLessThan(6 * 4 * rows * features + small);
    expect(chunked).toBeLessThan(whole / 2);
  });

  test.each([{ chunk }, { dropout: 0.5 }, { gated: true, chunk, dropout: 0.5 }] as const)(
    'a device that only counts says the peak of %j',
    (options) => {
      const like = on.device.info;
      const counting = new RehearsalDevice({ like });
      expect(peak(counting, counting.ledger, options)).toBe(peak(on.device, on.device.ledger, options));
    },
  );

  test('keeps nothing where nothing is recorded', () => {
    const layer = new DenseFeedForward(4, 8, { chunk: 2 }).initialise({ device: on.device, seed: 1 });
    const x = tensor(uniform(1, 20), [5, 4], { device: on.device });
    const before = on.device.ledger.live();
    const y = noGradient(() => layer.forward(x));
    expect(on.device.ledger.live() - before).toBe(y.byteLength);
    expect(y.requiresGradient).toBe(false);
    disposeAll([x, y]);
    layer.dispose();
  });

  test('the backward pass sees the step and the parameters of the forward pass', async () => {
    const { device } = on;
    const run = async (disturb: (layer: DenseFeedForward) => void): Promise<number[]> => {
      const layer = new DenseFeedForward(4, 32, { dropout: 0.5, chunk: 2 })
        .initialise({ device, seed: 1 })
        .train({ seed: 1, step: 1 });
      const x = tensor(uniform(1, 20), [5, 4], { device, requiresGradient: true });
      const y = layer.forward(x);
      disturb(layer);
      const training = layer.up.training;
      const [dx] = gradients([y], [x], [y]);
      expect(layer.up.training).toBe(training);
      const data = [...(await dx!.data())];
      disposeAll([x, y, dx]);
      layer.dispose();
      return data;
    };
    const want = await run(() => undefined);
    expect(await run((layer) => layer.eval())).toEqual(want);
    expect(await run((layer) => layer.train({ seed: 1, step: 2 }))).toEqual(want);
    expect(await run((layer) => layer.initialise({ device, seed: 2 }))).toEqual(want);
  });

  test('recompute puts everything back when the function fails', () => {
    const device: Device = on.device;
    const layer = new DenseFeedForward(4, 8).initialise({ device, seed: 1 });
    const x = tensor(uniform(1, 20), [5, 4], { device });
    const weight = layer.up.weight.value;
    expect(() => recompute(layer, (input) => [layer.forward(mul(input, 2)), layer.forward(weight)], [x])).toThrow(
      'DenseFeedForward',
    );
    expect(layer.up.weight.value).toBe(weight);
    x.dispose();
    layer.dispose();
  });

  test('refusals', () => {
    expect(() => new DenseFeedForward(4, 8, { chunk: 0 })).toThrow(
      'DenseFeedForward: chunk must be a whole number of at least 1; got 0.',
    );
    expect(() => new DenseFeedForward(4, 8, { activation: 'swish' as never })).toThrow(
      'DenseFeedForward: unknown activation "swish"',
    );
    expect(() => new DenseFeedForward(4, 8, { gate: true } as never)).toThrow('did you mean "gated"');
    scope(() => {
      const x = tensor([1, 2], [1, 2], { device: on.device });
      expect(() => new DenseFeedForward(4, 8).forward(x)).toThrow('x must be [...,4]; got [1,2].');
    });
  });
});
