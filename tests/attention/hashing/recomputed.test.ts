import { expect, test } from 'vitest';
import { mechanism, type AnyOptions } from '../../../src/attention/index.js';
import { createModel, readConfig, type Transformer } from '../../../src/models/index.js';
import { disposeAll, gradients, recompute, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { constantRate, sgd, Trainer } from '../../../src/train/index.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

const training = { seed: 1, purpose: 'step 1' };
const cases: readonly (readonly [string, AnyOptions])[] = [
  ['routing', { causal: true, sharedQk: true, losses: true }],
  ['routing', { normalised: true, losses: true }],
  ['clusterformer', { chunkLength: 4, losses: true }],
  ['sinkhorn', { blockSize: 3 }],
  ['sinkhorn', { blockSize: 3, causal: true, sorting: 'topK', topK: 2 }],
];
const text = [3, 1, 4, 1, 5, 9, 2];

onEveryDevice((on) => {
  test.each(cases)(
    '%s %j: computed again, a step has the same groups and noise, and gradients of the same bits',
    async (name, options) => {
      const shape = [1, 2, 12, 4];
      const found = await Promise.all(
        [true, false].map(async (again) => {
          const all = scope(() => {
            const [q, k, v] = [1, 2, 3].map((seed) =>
              tensor(normal(seed, 96), shape, { device: on.device, requiresGradient: true }),
            ) as [Tensor, Tensor, Tensor];
            const body = (...[q, k, v]: Tensor[]): Tensor[] => {
              const { out, losses } = mechanism(name).run(q!, k!, v!, { ...options, training });
              return [out, ...Object.values(losses ?? {})];
            };
            const outs = again ? recompute(body, [q, k, v]) : body(q, k, v);
            const cotangents = outs.map((x, i) => tensor(normal(7 + i, x.size), x.shape, { device: on.device }));
            return [...outs, ...gradients([...outs], [q, k, v], cotangents)];
          });
          const numbers = await Promise.all(all.map((x) => x.data()));
          disposeAll(all);
          return numbers;
        }),
      );
      found[1]!.forEach((one, i) => expectSameBits(`result ${i}`, found[0]![i]!, one));
    },
  );

  test('a model moves its centroids once a step, whether its layers are computed again or not', async () => {
    const moved = await Promise.all(
      (['plain', { kind: 'checkpointed', every: 1 }] as const).map(async (residual) => {
        const config = { vocabulary: 10, width: 8, heads: 2, length: 6, layers: 1, mechanism: 'routing', residual };
        const model = createModel(readConfig(config)) as Transformer;
        model.initialise({ device: on.device, seed: 3 });
        const centroids = model.namedParameters().get('stack.layers.0.attention.centroids')!;
        const before = Float32Array.from(await centroids.value.data());
        const batch = (): Int32Array => Int32Array.from(text);
        const trainer = new Trainer({
          device: on.device,
          model,
          optimiser: (parameters) => sgd(parameters),
          schedule: constantRate(1e-30),
          batches: { batchSize: 1, length: 6, batch, startsAnew: () => true },
        });
        const step = await trainer.step();
        expect(step.losses!['commitment']).toBeGreaterThan(0);
        const after = Float32Array.from(await centroids.value.data());
        trainer.dispose();
        model.dispose();
        expect(after).not.toEqual(before);
        return after;
      }),
    );
    expectSameBits('checkpointed', moved[1]!, moved[0]!);
  });
});
