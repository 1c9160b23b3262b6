// of kernels/linear-attend/{chunk,cotangent,kernel,launch,plan,rows,spec,state}, ops/repeat-heads, ops/linear-attend/{backward,bind,check}

import { expect, test } from 'vitest';
import { concat, linearAttend, reshape } from '../../src/ops/index.js';
import { scope, tensor, type Tensor } from '../../src/tensor/index.js';
import * as oracle from '../oracles/linear-attend.js';
import { budgetOf, expectClose, type Numbers } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkOperation } from '../support/operation.js';
import { uniform } from '../support/random.js';
import { readSafetensors } from '../support/safetensors.js';
import { cases, inputsOf, optionsOf, run, size, small, type Case } from './linear-attend/cases.js';

const both = ({ out, state }: { out: Numbers; state: Numbers }): Float64Array =>
  Float64Array.from([...Array.from(out), ...Array.from(state)]);

/** Each case is several kernels to compile natively; the two share their text. */
const native = new Set(['one position', 'shared heads', 'more queries than keys', 'ragged, all see all']);

onEveryDevice((on) => {
  const chosen = Object.entries(cases).filter(([name]) => on.kind === 'wasm' || native.has(name));

  test.each(chosen)('values, final state and gradients: %s', async (name, p) => {
    const { shapes, inputs, arrays } = inputsOf(p);
    const values = size(p.B, p.H, p.L, p.E);
    await checkOperation(on.device, {
      name,
      shapes,
      inputs,
      run: (q, k, v, ...rest) => {
        const { out, state } = linearAttend(q, k, v, optionsOf(p, [q, k, v, ...rest]));
        return concat([reshape(out, [-1]), reshape(state, [-1])]);
      },
      forward: (r, ...x) => both(oracle.linearAttend(p, arrays(x), r)),
      backward: (r, d, ...x) => {
        const cotangent = Float64Array.from(d);
        const found = oracle.linearGradients(
          p,
          arrays(x),
          cotangent.subarray(0, values),
          cotangent.subarray(values),
          r,
        );
        return found.filter((_, i) => i < 3 || (i === 3 ? p.initial : p.decay));
      },
    });
  });

  test.each(fewNatively(on.kind, [7, 24, 48, 96, 1024], 1))('chunks of %i give the same', async (chunk) => {
    const p: Case = { ...small, L: 150, S: 150, causal: true, initial: true, decay: true };
    const { inputs, arrays } = inputsOf(p);
    const got = await run(on.device, { ...p, chunk });
    const [want, plain] = [(x: number): number => x, Math.fround].map((r) => oracle.linearAttend(p, arrays(inputs), r));
    expectClose('out', got.out, want!.out, { budget: plain!.out });
    expectClose('state', got.state, want!.state, { budget: plain!.state });
  });

  test('the tiny fixture of the specification', async () => {
    const at = (n: number, f: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => f(i));
    const elu1 = (x: number): number => (x > 0 ? x + 1 : Math.exp(x));
    const given = [
      at(24, (i) => elu1(Math.sin(1 + i))),
      at(24, (i) => elu1(Math.cos(2 + i))),
      at(18, (i) => Math.sin(3 + 0.5 * i)),
    ];
    const p: Case = { B: 1, H: 1, G: 1, L: 6, S: 6, M: 4, E: 3 };
    const rows = async (causal: boolean): Promise<number[][]> => {
      const { out } = await run(on.device, { ...p, causal }, given);
      return [0, 5].map((row) => Array.from(out).slice(3 * row, 3 * row + 3));
    };
    const want = [
      [-0.171257, -0.264158, -0.292384],
      [-0.149376, -0.253117, -0.294885],
    ];
    // the numbers are given to six places
    for (const [i, row] of (await rows(false)).entries()) expectClose('all', row, want[i]!, { budget: 1e-6 });
    const causal = await rows(true);
    expectClose('first', causal[0]!, [0.14112, -0.350783, -0.756802], { budget: 1e-6 });
    expectClose('last', causal[1]!, want[1]!, { budget: 1e-6 });
  });

  // opset 27 has no divisor, but a scale of 1/√M; its decay by feature or with an error-correcting update is something else
  test.each(['linear', 'decay'])('agrees with the operator LinearAttention of ONNX: %s', async (name) => {
    const golden = readSafetensors(new URL(`../fixtures/linear-attend/${name}.safetensors`, import.meta.url));
    const given = [Array.from(golden['q']!.data, (x) => x / Math.sqrt(8)), golden['k']!.data, golden['v']!.data];
    if (name === 'decay') given.push(golden['decay']!.data);
    const p: Case = {
      B: 2,
      H: 4,
      G: 4,
      L: 4,
      S: 4,
      M: 8,
      E: 8,
      causal: true,
      normalise: false,
      decay: name === 'decay',
    };
    const got = await run(on.device, p, given);
    const arrays = inputsOf(p).arrays(given);
    const plain = oracle.linearAttend(p, arrays, Math.fround);
    // theirs is float32 too
    for (const of of ['out', 'state'] as const) {
      expectClose(of, got[of], golden[of]!.data, {
        budget: 2 * budgetOf(oracle.linearAttend(p, arrays)[of], plain[of]),
      });
    }
  });

  test('mutants: an oracle that is wrong in one thing disagrees', async () => {
    const p: Case = { ...small, L: 30, causal: true, decay: true, initial: true };
    const { inputs, arrays } = inputsOf(p);
    const { out } = await run(on.device, p);
    const x = arrays(inputs);
    const right = oracle.linearAttend(p, x).out;
    const budget = budgetOf(right, oracle.linearAttend(p, x, Math.fround).out);
    expectClose('as it is', out, right, { budget });
    const wrong: Record<string, oracle.LinearArrays> = {
      'decay of another position': {
        ...x,
        decay: Float32Array.from(x.decay!, (_, i) => x.decay![i === 0 ? 0 : i - 1]!),
      },
      'no initial state': { ...x, initial: undefined },
      'heads in turns': { ...x, k: Float32Array.from(x.k, (_, i) => x.k[(i + 37 * 5) % x.k.length]!) },
    };
    for (const [name, mutant] of Object.entries(wrong)) {
      expect(() => expectClose(name, out, oracle.linearAttend(p, mutant).out, { budget }), name).toThrow('numbers off');
    }
    const aligned = oracle.linearAttend({ ...p, causal: false }, { ...x, decay: undefined }).out;
    expect(() => expectClose('not causal', out, aligned, { budget })).toThrow('numbers off');
  });

  test('refusals name every fault', () =>
    scope(() => {
      const make = (...shape: number[]): Tensor => tensor(uniform(1, size(...shape)), shape, { device: on.device });
      const [q, k, v] = [make(1, 4, 5, 6), make(1, 2, 7, 6), make(1, 2, 7, 3)];
      expect(() => linearAttend(q, make(1, 3, 7, 5), v)).toThrow(
        'linearAttend: k must have the features M of q; v must have the heads G and the length S of k; ' +
          'the 3 key/value heads must divide the 4 query heads; got q=[1,4,5,6], k=[1,3,7,5], v=[1,2,7,3].',
      );
      expect(() => linearAttend(q, k, v, { initialState: make(1, 4, 6, 3) })).toThrow(
        'must be [B,H,M,E+1] = [1,4,6,4]',
      );
      expect(() => linearAttend(q, k, v, { decay: make(1, 4, 7) })).toThrow('decay needs { causal: true }');
      expect(() => linearAttend(q, k, v, { lengths: [8] })).toThrow('whole number from 0 to S = 7');
      expect(() => linearAttend(q, k, v, { chunk: 0 })).toThrow('chunk must be a whole number from 1 to 1024; got 0.');
      expect(() => linearAttend(q, k, v, { eps: -1 })).toThrow('eps must be a number of at least 0; got -1.');
      expect(() => linearAttend(q, k, v, { chunks: 3 } as never)).toThrow('did you mean "chunk"?');
    }));
});
