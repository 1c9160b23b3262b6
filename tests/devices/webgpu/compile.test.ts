import { afterAll, describe, expect, test } from 'vitest';
import { mechanisms, type Mechanism } from '../../../src/attention/index.js';
import { measure } from '../../../src/attention/rehearse.js';
import { CapabilityError, OptionError, ShapeError } from '../../../src/core/errors.js';
import type { Gpu } from '../../../src/devices/webgpu/api.js';
import type { WebGpuDevice } from '../../../src/devices/webgpu/device.js';
import { createModel, readConfig } from '../../../src/models/index.js';
import { disposeAll, gradients, scope, tensor, zeros } from '../../../src/tensor/index.js';
import { full } from '../../support/full.js';
import { noWebGpu, nullGpu, webGpuDevice } from '../../support/webgpu.js';

// Dawn's null backend parses, validates and lowers every text, offers subgroups and f16, and runs nothing

/** All in the full run and in that on WebGPU; else one of each kind of product and of scalar loops. */
const all = full || process.env['SUBQUAD_DEVICE'] === 'webgpu';
const few = new Set(['flash', 'fnet', 'sinkhorn', 'retention', 'lev']);
const some = mechanisms.filter(({ name }) => all || few.has(name));

const shapes = { B: 1, H: 4, L: 64, D: 16 } as const;

/** Runs a mechanism forward and backward; its kernels are compiled on the way. Undefined, or why it refuses. */
function run(device: WebGpuDevice, mechanism: Mechanism): string | undefined {
  const { B, H, L, D } = shapes;
  const refusals: string[] = [];
  for (const causal of [false, true]) {
    const make = () => zeros([B, H, L, D], { device, requiresGradient: true });
    const qkv = [make(), make(), make()] as const;
    try {
      measure(device, mechanism, qkv, { causal }, true);
      return undefined;
    } catch (error) {
      const refused = [OptionError, ShapeError, CapabilityError].some((kind) => error instanceof kind);
      if (!refused) throw error;
      refusals.push(String(error));
    } finally {
      disposeAll([qkv]);
    }
  }
  return refusals.join('; ');
}

describe.skipIf(noWebGpu !== undefined)(`webgpu ${noWebGpu ?? ''}`, () => {
  const tiers: readonly (readonly [name: string, width: number, core: boolean])[] = [
    ['T0, an invocation is a thread', 1, true],
    ['T3, a vector is a workgroup of 16', 16, false],
  ];
  describe.each(tiers)('%s', (_, width, core) => {
    let device: WebGpuDevice | undefined;
    const open = async (): Promise<WebGpuDevice> => {
      const gpu: Gpu = await nullGpu(core);
      return (device ??= await webGpuDevice({ gpu, width, poison: false }));
    };
    afterAll(() => device?.dispose());

    test.each(some.map((mechanism) => [mechanism.name, mechanism] as const))('%s compiles', async (_name, one) => {
      const own = await open();
      const refusal = run(own, one);
      // what the compiler has against a text is told here
      await own.compileAll([]);
      expect(refusal).toBeUndefined();
    });

    test('a training step compiles', async () => {
      const own = await open();
      const config = readConfig({ layers: 1, width: 32, heads: 2, length: 16, vocabulary: 64, kind: 'decoder' });
      const model = createModel(config).initialise({ device: own, seed: 1 });
      scope(() => {
        const tokens = () => tensor(new Int32Array(16), [1, 16], { device: own, dtype: 'i32' });
        const { loss } = model.loss({ tokens: tokens(), targets: tokens() });
        gradients(
          [loss],
          [...model.namedParameters().values()].map(({ value }) => value),
        );
      });
      await own.compileAll([]);
      model.dispose();
    });
  });
});
