// of kernels/recurrent/{backward,between,count,forward,line,rows,spec,step}, ops/recurrent-attend/check

import { expect, test } from 'vitest';
import { cast, concat, recurrentAttend, reshape, slice } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose, type Numbers } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { readSafetensors } from '../support/safetensors.js';
import { cases, full, inputsOf, oracle, run, shapesOf, size, small, type Case } from './recurrent-attend/cases.js';

/** Outputs and final states as one tensor, and its gradients for random cotangents. */
async function computed(device: Device, p: Case, seed: number): Promise<Record<string, Float32Array>> {
  const inputs = inputsOf(p, seed);
  const shapes = Object.entries(shapesOf(p));
  const tensors = shapes.map(([, shape], i) => tensor(inputs[i]!, shape, { device, requiresGradient: true }));
  const y = scope(() => {
    const { out, state } = run(p, tensors);
    return concat([reshape(out, [-1]), reshape(state, [-1])]);
  });
  const found = scope(() => gradients([y], tensors, [tensor(cotangentOf(p, seed), y.shape, { device })]));
  const results: Record<string, Float32Array> = { values: (await y.data()) as Float32Array };
  for (const [i, x] of found.entries()) results[`d${shapes[i]![0]}`] = (await x.data()) as Float32Array;
  disposeAll([y, ...found, ...tensors]);
  return results;
}

const cotangentOf = ({ B, H, n, M, E }: Case, seed: number): Float32Array =>
  uniform(seed * 31 + 17, B * H * (n * E + M * E), -1, 1);

/** The oracle's answers by name: in float64, and in plain float32 with sums in several orders. */
function expected(p: Case, seed: number): readonly Record<string, Numbers>[] {
  const names = Object.keys(shapesOf(p));
  return [new Graph(double), ...[0, 1, 2, 3].map((order) => new Graph(single, order))].map((g) => {
    const { values, grads } = oracle(p, g, inputsOf(p, seed), cotangentOf(p, seed));
    return { values, ...Object.fromEntries(names.map((name, i) => [`d${name}`, grads[i]!])) };
  });
}

async function check(device: Device, name: string, p: Case, seed = 1): Promise<void> {
  const got = await computed(device, p, seed);
  const [want, ...plain] = expected(p, seed);
  for (const [of, numbers] of Object.entries(want!)) {
    const budget = Math.max(...plain.map((one) => budgetOf(numbers, one[of])));
    expectClose(`${name}: ${of}`, got[of]!, numbers, { budget, seed });
  }
}

/** Each case is two kernels to compile natively. */
const native = new Set(['delta, decay by feature', 'decay by head', 'delta', 'ragged']);

onEveryDevice((on) => {
  const chosen = Object.entries(cases).filter(([name]) => on.kind === 'wasm' || native.has(name));

  test.each(chosen)('values, final state and gradients: %s', async (name, p) => {
    await check(on.device, name, p);
  });

  test.each(fewNatively(on.kind, [1, 3, 16], 1))('steps of %i give the same', async (chunk) => {
    await check(on.device, 'chunk', { ...small, H: 2, n: 21, ...full, chunk });
  });

  test('a text in pieces is the whole text', async () => {
    const p: Case = { ...small, decay: 'feature', beta: true };
    const [want, plain] = [new Graph(double), new Graph(single)].map((g) => oracle(p, g, inputsOf(p)).values);
    const pieces = await pieceByPiece(on.device, p, [0, 1, 6, p.n]);
    expectClose('pieces', pieces, want!, { budget: plain! });
  });

  test('keys of length 1 overwrite what they wrote before, and leave what orthogonal ones wrote', async () => {
    const e = (i: number): number[] => [0, 1, 2].map((m) => Number(m === i));
    const rows = (x: readonly (readonly number[])[]): Tensor => tensor(x.flat(), [1, 1, 5, 3], { device: on.device });
    const { out, state } = scope(() => {
      const v = rows([
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
        [1, 0, 1],
        [5, 5, 5],
      ]);
      const beta = tensor([1, 1, 1, 0.5, 0], [1, 1, 5], { device: on.device });
      return recurrentAttend(rows([0, 0, 0, 1, 2].map(e)), rows([0, 1, 0, 1, 2].map(e)), v, { beta });
    });
    // the third overwrites the first; the fourth replaces half of the second; β = 0 writes nothing
    expect(Array.from(await out.data())).toEqual([1, 2, 3, 1, 2, 3, 7, 8, 9, 2.5, 2.5, 3.5, 0, 0, 0]);
    expect(Array.from(await state.data())).toEqual([7, 8, 9, 2.5, 2.5, 3.5, 0, 0, 0]);
    disposeAll([out, state]);
  });

  test.each(['gated', 'gated_per_head', 'delta', 'gated_delta'])(
    'agrees with the operator LinearAttention of ONNX: %s',
    async (name) => {
      const golden = readSafetensors(new URL(`../fixtures/recurrent-attend/${name}.safetensors`, import.meta.url));
      const p: Case = {
        B: 2,
        H: 4,
        n: 4,
        M: 8,
        E: 8,
        ...(golden['decay'] && { decay: golden['decay'].shape.length === 4 ? 'feature' : 'head' }),
        beta: golden['beta'] !== undefined,
        initial: golden['initial'] !== undefined,
      };
      const given = Object.keys(shapesOf(p)).map((of) => Float32Array.from(golden[of]!.data));
      // their scale is 1/√M
      given[0] = given[0]!.map((x) => x / Math.sqrt(8));
      const { out, state } = scope(() =>
        run(
          p,
          Object.values(shapesOf(p)).map((shape, i) => tensor(given[i]!, shape, { device: on.device })),
        ),
      );
      const want = Float64Array.from([...golden['out']!.data, ...golden['state']!.data]);
      const [exact, plain] = [new Graph(double), new Graph(single)].map((g) => oracle(p, g, given).values);
      // theirs is float32 too
      const got = Float64Array.from([...(await out.data()), ...(await state.data())]);
      expectClose(name, got, want, { budget: 2 * budgetOf(exact!, plain) });
      disposeAll([out, state]);
    },
  );

  test('mutants: an oracle that is wrong in one thing disagrees', async () => {
    const p: Case = { ...small, ...full };
    const { values } = await computed(on.device, p, 1);
    const inputs = inputsOf(p, 1);
    const [right, plain] = [new Graph(double), new Graph(single)].map((g) => oracle(p, g, inputs).values);
    const budget = budgetOf(right!, plain);
    expectClose('as it is', values!, right!, { budget });
    const [q, k, v, decay, beta, initial] = inputs as [Float32Array, ...Float32Array[]];
    const wrong: Readonly<Record<string, readonly Numbers[]>> = {
      'decay of another feature': [q, k!, v!, decay!.map((_, i) => decay![i === 0 ? 1 : i - 1]!), beta!, initial!],
      'β of another key': [q, k!, v!, decay!, beta!.map((_, i) => beta![i === 0 ? 1 : i - 1]!), initial!],
      'the value as it is': [q, k!, v!, decay!, beta!.map(() => 0), initial!],
      'no initial state': [q, k!, v!, decay!, beta!, initial!.map(() => 0)],
    };
    for (const [name, mutant] of Object.entries(wrong)) {
      const other = oracle(p, new Graph(double), mutant).values;
      expect(() => expectClose(name, values!, other, { budget }), name).toThrow('numbers off');
    }
  });

  test('refusals name every fault', () =>
    scope(() => {
      const make = (...shape: number[]): Tensor => tensor(uniform(1, size(...shape)), shape, { device: on.device });
      const [q, k, v] = [make(1, 2, 5, 6), make(1, 2, 5, 6), make(1, 2, 5, 3)];
      expect(() => recurrentAttend(q, make(1, 1, 7, 6), v, { decay: make(1, 2, 4), beta: make(1, 2, 5, 6) })).toThrow(
        'recurrentAttend: k must be [B,H,n,M] = [1,2,5,6]; decay must be [B,H,n] or [B,H,n,M] = [1,2,5] or [1,2,5,6]; ' +
          'beta must be [B,H,n] = [1,2,5]; got q=[1,2,5,6], k=[1,1,7,6], v=[1,2,5,3], decay=[1,2,4], beta=[1,2,5,6].',
      );
      expect(() => recurrentAttend(q, k, v, { initialState: make(1, 2, 3, 6) })).toThrow(
        'initialState must be [B,H,M,E] = [1,2,6,3]',
      );
      expect(() => recurrentAttend(q, k, v, { lengths: [6] })).toThrow(
        'lengths must be one whole number from 0 to n = 5 for each of the 1 batches; got [6]',
      );
      expect(() => recurrentAttend(q, k, v, { chunk: 0 })).toThrow('chunk must be a whole number from 1 to 16');
      expect(() => recurrentAttend(make(2, 3), k, v)).toThrow('q must be [B,H,n,M]');
      expect(() => recurrentAttend(q, k, cast(v, 'f16'))).toThrow('takes f32; v is f16');
    }));
});

/** Outputs and the final state of a text that is given piece by piece, each with the state after the one before. */
async function pieceByPiece(device: Device, p: Case, ends: readonly number[]): Promise<Float64Array> {
  const inputs = inputsOf(p);
  const whole = Object.values(shapesOf(p)).map((shape, i) => tensor(inputs[i]!, shape, { device }));
  const { out, state } = scope(() => {
    let last: Tensor | undefined;
    const parts = ends.slice(1).map((end, i) => {
      const [q, k, v, decay, beta] = whole.map((x) => slice(x, { axis: 2, start: ends[i]!, end }));
      const step = recurrentAttend(q!, k!, v!, { decay: decay!, beta: beta!, ...(last && { initialState: last }) });
      last = step.state;
      return step.out;
    });
    return { out: concat(parts, { axis: 2 }), state: last! };
  });
  const all = Float64Array.from([...(await out.data()), ...(await state.data())]);
  disposeAll([out, state, ...whole]);
  return all;
}
