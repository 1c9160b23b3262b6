import { rehearse, type Taken } from '../../../src/attention/index.js';
import { measure } from '../../../src/attention/rehearse.js';
import { liveTensors, leakedTensors, tensor, disposeAll } from '../../../src/tensor/index.js';
import { full } from '../../support/full.js';
import { admits, base, causalities, describeCase, optionSets, plainCases, sizesOf } from './cases.js';
import { callOptions } from './data.js';
import { run } from './run.js';
import type { Case, Check, Gated } from './spec.js';
import { patternOf, visible } from './weights.js';

/** How far a formula may be off. */
const share = 0.05;

const near = (got: number, want: number): boolean => Math.abs(got - want) <= share * Math.abs(want);

const large = { ...base, B: 2, H: 4, G: 4, D: 64, E: 64 };

/** The formula's multiply-adds are those that a run needs, within 5 %; nothing is computed for it. */
export const formula: Check = async (gated, { device }) => {
  const { mechanism, spec } = gated;
  const shapes = spec.costShapes ?? [512, 1000].map((n) => ({ ...large, L: n, S: n }));
  const cases = optionSets(spec).flatMap((options, n) =>
    shapes
      .slice(0, full || n === 0 ? undefined : 1)
      .flatMap((shape) => causalities(mechanism).map((causal) => ({ shape, options, causal }))),
  );
  const admitted = cases.filter((one) => admits(mechanism, one));
  if (admitted.length === 0)
    throw new Error(`gate: ${mechanism.name} refuses every cost shape; give the specification costShapes`);
  for (const one of admitted) {
    const who = `${mechanism.name} ${describeCase(one)}`;
    const predicted = mechanism.cost(one.shape, callOptions(one));
    const counted = rehearse(mechanism, one.shape, callOptions(one), { like: device.info }).neededMultiplyAdds;
    if (!near(predicted.multiplyAdds, counted))
      throw new Error(`${who}: cost says ${predicted.multiplyAdds} multiply-adds, a run needs ${counted}`);
  }
  for (const one of plainCases(gated)) {
    const { pairs } = mechanism.cost(one.shape, callOptions(one));
    if (pairs === undefined || mechanism.definition.pattern === undefined) continue;
    const counted = countPairs(gated, one);
    if (!near(pairs, counted))
      throw new Error(`${mechanism.name} ${describeCase(one)}: cost says ${pairs} pairs, its pattern has ${counted}`);
  }
};

/** Of one batch row, by looking at each. */
function countPairs(gated: Gated, one: Case): number {
  const place = patternOf(gated, one, 0) ?? visible(one);
  const { H, L, S } = one.shape;
  let count = 0;
  for (let h = 0; h < H; h++)
    for (let i = 0; i < L; i++) for (let j = 0; j < S; j++) count += Number(place(0, h, i, j));
  return count;
}

const compared = [
  'inputBytes',
  'parameterBytes',
  'outputBytes',
  'workspaceBytes',
  'savedBytes',
  'gradientBytes',
  'peakBytes',
  'planBytes',
  'multiplyAdds',
  'dispatches',
] as const satisfies readonly (keyof Taken)[];

/** What a rehearsal predicts is what the device's ledger and counters then say, to the byte. */
export const bytes: Check = async (gated, { device }) => {
  const { mechanism, spec } = gated;
  const [, length] = sizesOf(spec);
  const cases = plainCases(gated).map((one) => ({ ...one, shape: { ...one.shape, L: length, S: length } }));
  // with projections of its own, and without
  const ways = mechanism.definition.inputs ? [{}, { plain: true }] : [{}];
  const all = cases.flatMap((one) => ways.map((way): Case => ({ ...one, ...way })));
  for (const one of all.filter((each) => admits(mechanism, each))) {
    for (const training of [false, true]) {
      const options = callOptions(one) as never;
      const inputs = one.plain !== true;
      const predicted = rehearse(mechanism, one.shape, options, { training, inputs, like: device.info });
      const real = measureOn(gated, device, one, training);
      for (const name of compared) {
        if (predicted[name] === real[name]) continue;
        throw new Error(
          `${mechanism.name} ${describeCase(one)}${training ? ', training' : ''}: ${name} is predicted as ${predicted[name]}, measured as ${real[name]}`,
        );
      }
    }
  }
};

function measureOn(
  { mechanism, answers }: Gated,
  device: Parameters<typeof measure>[0],
  one: Case,
  training: boolean,
): Taken {
  const { B, H, G, L, S, D, E } = one.shape;
  const { q, k, v, inputs: further } = answers.data(one);
  const create = (x: Float32Array, shape: readonly number[]): ReturnType<typeof tensor> =>
    tensor(x, shape, { device, requiresGradient: training });
  const qkv = [create(q, [B, H, L, D]), create(k, [B, G, S, D]), create(v, [B, G, S, E])] as const;
  const inputs = Object.fromEntries(
    Object.entries(further).map(([name, { data, shape }]) => [name, create(data, shape)]),
  );
  try {
    return measure(device, mechanism, qkv, { ...callOptions(one), inputs }, training);
  } finally {
    disposeAll([qkv, inputs]);
  }
}

/** A run, forward or with gradients, leaves no tensor and no byte. */
export const leaks: Check = async (gated, { device }) => {
  const { mechanism, answers } = gated;
  for (const one of plainCases(gated)) {
    for (const how of [{ forward: true }, { forward: true, redraw: true }, {}]) {
      const [tensors, held] = [liveTensors() + leakedTensors(), device.ledger.live()];
      await run(device, mechanism, one, answers.data(one), how);
      const left = liveTensors() + leakedTensors() - tensors;
      if (left !== 0 || device.ledger.live() > held)
        throw new Error(
          `${mechanism.name} ${describeCase(one)}: leaves ${left} tensors and ${device.ledger.live() - held} bytes`,
        );
    }
  }
};
