import { gpuModule } from '../../../codegen/gpu.js';
import { CapabilityError } from '../../../core/errors.js';
import { memoised } from '../../../core/memo.js';
import type { Kernel } from '../../../codegen/kernel.js';
import { parameterList } from '../../parameters.js';
import { shared, specKey, type AttendSpec } from '../spec.js';

const texts = gpuModule(() => import('./backward.js'));

const pass = {
  ...shared,
  dout: 'pointer',
  delta: 'pointer',
  /** Not 0: adds to what is there, that of another part of the plan. */
  adds: 'i32',
} as const;

export const queriesParameters = parameterList({ ...pass, dq: 'pointer' });
export const keysParameters = parameterList({
  ...pass,
  dk: 'pointer',
  dv: 'pointer',
  /** The tile map by keys: rows of `gpuKeyTile` keys, runs of tiles of queries. */
  columnOffsets: 'pointer',
  columnRuns: 'pointer',
});

const onGpus = (): never => {
  throw new CapabilityError('attend: the backward pass in two passes is for GPUs; processors have one of their own.');
};

/** dq. A task is a tile of queries of one head and residue class. */
export const backwardQueries = memoised((spec: AttendSpec): Kernel => ({
  name: 'attend backward queries',
  key: specKey(spec),
  parameters: queriesParameters.kinds,
  cpu: onGpus,
  gpu: (target) => texts().queriesText(target, spec, queriesParameters.wgsl),
}));

/** dk and dv. A task is a tile of keys of one key/value head and residue class. */
export const backwardKeys = memoised((spec: AttendSpec): Kernel => ({
  name: 'attend backward keys',
  key: specKey(spec),
  parameters: keysParameters.kinds,
  cpu: onGpus,
  gpu: (target) => texts().keysText(target, spec, keysParameters.wgsl),
}));
