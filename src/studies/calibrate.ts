import type { Rehearsal } from '../attention/index.js';
import { flash } from '../attention/exact/index.js';
import { RehearsalDevice, type Device } from '../devices/index.js';
import { add, argsort, fourierMix, gather, linearAttend, matmul, softmax, transpose } from '../ops/index.js';
import { disposeAll, full, gradients, scope, tensor, type Tensor } from '../tensor/index.js';
import { median, stopwatch } from './timing.js';

/** What a kernel does in a second: multiply-adds where it multiplies matrices, else bytes. */
export interface Rates {
  readonly multiplyAdds: ReadonlyMap<string, number>;
  readonly bytes: ReadonlyMap<string, number>;
  /** For kernels that were not measured. */
  readonly other: { readonly multiplyAdds: number; readonly bytes: number };
  /** Seconds of a kernel that has nothing to do. */
  readonly dispatch: number;
}

interface Probe {
  readonly inputs: (device: Device) => readonly Tensor[];
  readonly run: (...inputs: Tensor[]) => unknown;
}

const filled =
  (shape: readonly number[], requiresGradient = false) =>
  (device: Device) =>
    full(shape, 0.5, { device, requiresGradient });

const all =
  (...make: ((device: Device) => Tensor)[]) =>
  (device: Device): Tensor[] =>
    make.map((one) => one(device));

const [heads, length, headDim, rows] = [2, 1024, 64, 2 ** 18];
const head = [1, heads, length, headDim];
const wide = [16, 2 ** 18];

/** Each is dominated by one kernel, or by kernels of one kind. */
const probes: Readonly<Record<string, Probe>> = {
  matmul: { inputs: all(filled([512, 512]), filled([512, 512])), run: (a, b) => matmul(a, b) },
  'attend forward': {
    inputs: all(filled(head), filled(head), filled(head)),
    run: (q, k, v) => flash.run(q, k, v),
  },
  'attend backward': {
    inputs: all(filled(head, true), filled(head, true), filled(head, true), filled(head)),
    run: (q, k, v, d) => gradients([flash.run(q, k, v).out], [q, k, v], [d]),
  },
  'linear attend': {
    inputs: all(filled(head), filled(head), filled(head)),
    run: (q, k, v) => linearAttend(q, k, v, { causal: true, normalise: true }),
  },
  'linear attend backward': {
    inputs: all(filled(head, true), filled(head, true), filled(head, true), filled(head)),
    run: (q, k, v, d) => gradients([linearAttend(q, k, v, { causal: true, normalise: true }).out], [q, k, v], [d]),
  },
  fourier: { inputs: all(filled([4096, 256])), run: (x) => fourierMix(x) },
  elementwise: { inputs: all(filled(wide), filled(wide)), run: (a, b) => add(a, b) },
  'softmax forward': { inputs: all(filled([4096, 1024])), run: (x) => softmax(x) },
  'copy tile': { inputs: all(filled([1, 2048, 32, 64])), run: (x) => transpose(x, [0, 2, 1, 3]) },
  sort: { inputs: all(filled([4, 65536])), run: (x) => argsort(x) },
  gather: {
    inputs: (device) => [
      full([rows, headDim], 0.5, { device }),
      tensor(
        Int32Array.from({ length: rows }, (_, i) => (i * 7919) % rows),
        [rows],
        { device },
      ),
    ],
    run: (x, indices) => gather(x, indices),
  },
};

/**
 * Measures what this device's kernels do in a second, in about two seconds once the kernels are compiled. Each probe is run and
 * rehearsed; its time belongs to the kernels the rehearsal names.
 */
export async function calibrate(device: Device, progress: (text: string) => void = () => undefined): Promise<Rates> {
  const done = (): Promise<void> => device.synchronise();
  const multiplyAdds = new Map<string, number>();
  const bytes = new Map<string, number>();
  let forward = 0;
  for (const [name, { inputs, run }] of Object.entries(probes)) {
    progress(`calibrating: ${name}`);
    const work = workOf(device, inputs, run);
    const given = scope(() => inputs(device));
    const once = (): void => scope(() => void run(...given));
    once();
    await done();
    const times: number[] = [];
    for (let i = 0; i < 5; i++) times.push(await stopwatch(once, 20, done));
    given.forEach((tensor) => tensor.dispose());
    let seconds = median(times) / 1000;
    if (name === 'attend forward') forward = seconds;
    if (name === 'attend backward') seconds -= forward;
    // what else a probe runs is small beside its products, or beside its bytes where it has none
    const [unit, rates] = [...work.values()].some((one) => one.multiplyAdds > 0)
      ? (['multiplyAdds', multiplyAdds] as const)
      : (['bytesMoved', bytes] as const);
    const own = [...work].filter(
      ([kernel, one]) => one[unit] > 0 && !(name === 'attend backward' && kernel === 'attend forward'),
    );
    const total = own.reduce((sum, [, one]) => sum + one[unit], 0);
    for (const [kernel] of own) rates.set(kernel, total / seconds);
  }
  const x = full([1], 0, { device });
  const nothing = (await stopwatch(() => scope(() => void add(x, x)), 20, done)) / 1000;
  x.dispose();
  return {
    multiplyAdds,
    bytes,
    other: { multiplyAdds: multiplyAdds.get('matmul')!, bytes: bytes.get('elementwise')! },
    dispatch: nothing,
  };
}

function workOf(device: Device, inputs: Probe['inputs'], run: Probe['run']): Rehearsal['work'] {
  const rehearsal = new RehearsalDevice({ like: device.info });
  const given = inputs(rehearsal);
  // making the inputs is not part of the probe
  const before = new Map([...rehearsal.work].map(([kernel, work]) => [kernel, { ...work }]));
  scope(() => void run(...given));
  disposeAll(given);
  return new Map(
    [...rehearsal.work].map(([kernel, work]) => {
      const { dispatches = 0, multiplyAdds = 0, bytesMoved = 0 } = before.get(kernel) ?? {};
      return [
        kernel,
        {
          dispatches: work.dispatches - dispatches,
          multiplyAdds: work.multiplyAdds - multiplyAdds,
          bytesMoved: work.bytesMoved - bytesMoved,
        },
      ];
    }),
  );
}

/** Seconds that rehearsed work takes at these rates. */
export function secondsOf(work: Rehearsal['work'], rates: Rates): number {
  let seconds = 0;
  for (const [kernel, { dispatches, multiplyAdds, bytesMoved }] of work) {
    seconds += dispatches * rates.dispatch;
    if (multiplyAdds > 0) seconds += multiplyAdds / (rates.multiplyAdds.get(kernel) ?? rates.other.multiplyAdds);
    else seconds += bytesMoved / (rates.bytes.get(kernel) ?? rates.other.bytes);
  }
  return seconds;
}
