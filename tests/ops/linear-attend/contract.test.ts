import { expect, test } from 'vitest';
import { cast, concat, linearAttend, slice } from '../../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import * as oracle from '../../oracles/linear-attend.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice, withThreads } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { inputsOf, optionsOf, run, size, small, type Case } from './cases.js';

onEveryDevice((on) => {
  test('the second half continues from the state of the first', async () => {
    const { device } = on;
    const p: Case = { ...small, L: 90, S: 90, causal: true, chunk: 16 };
    const { shapes, inputs, arrays } = inputsOf(p);
    const dout = uniform(9, size(...shapes[2]!));
    const halves = scope(() => {
      const [q, k, v] = shapes.map((shape, i) => tensor(inputs[i]!, shape, { device, requiresGradient: true })) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const part = (start: number, end: number, initialState?: Tensor) =>
        linearAttend(...([q, k, v].map((x) => slice(x, { axis: 2, start, end })) as [Tensor, Tensor, Tensor]), {
          causal: true,
          chunk: 16,
          ...(initialState && { initialState }),
        });
      const first = part(0, 41);
      const second = part(41, 90, first.state);
      const out = concat([first.out, second.out], { axis: 2 });
      const [dq, dk, dv] = gradients([out], [q, k, v], [tensor(dout, shapes[2], { device })]);
      return { out, state: second.state, dq: dq!, dk: dk!, dv: dv! };
    });
    const [exact, plain] = [(x: number): number => x, Math.fround].map((r) => {
      const none = new Float64Array(size(...shapes[1]!) + size(...shapes[1]!));
      const [dq, dk, dv] = oracle.linearGradients(p, arrays(inputs), dout, none, r);
      return { ...oracle.linearAttend(p, arrays(inputs), r), dq: dq!, dk: dk!, dv: dv! };
    });
    for (const name of ['out', 'state', 'dq', 'dk', 'dv'] as const) {
      expectClose(name, await halves[name].data(), exact![name], { budget: plain![name] });
    }
    disposeAll(halves);
  });

  test('the same bits for every number of threads, with few heads and with many', async () => {
    for (const [H, G] of [
      [1, 1],
      [8, 4],
    ] as const) {
      const p: Case = { ...small, H, G, L: 300, S: 300, causal: true, chunk: 16, initial: true };
      const { shapes, inputs } = inputsOf(p);
      const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
        const outs = scope(() => {
          const x = shapes.map((shape, i) => tensor(inputs[i]!, shape, { device, requiresGradient: true }));
          const { out, state } = linearAttend(x[0]!, x[1]!, x[2]!, optionsOf(p, x));
          const dout = tensor(uniform(3, out.size), out.shape, { device });
          return [out, state, ...gradients([out], x, [dout])];
        });
        const numbers = await Promise.all(outs.map((x) => x.data()));
        disposeAll(outs);
        return numbers.flatMap((x) => Array.from(x));
      });
      expectSameBits('2 threads', results[1]!, results[0]!);
      expectSameBits('3 threads', results[2]!, results[0]!);
    }
  });

  test('NaN and infinity reach the rows that see them and no others', async () => {
    const p: Case = { ...small, G: 1, causal: true, chunk: 16 };
    const { inputs } = inputsOf(p);
    const clean = await run(on.device, p);
    for (const [i, bad] of [
      [1, NaN],
      [2, NaN],
      [2, Infinity],
    ] as const) {
      const given = inputs.map((x) => x.slice());
      const columns = i === 1 ? p.M : p.E;
      given[i]![21 * columns] = bad;
      const { out } = await run(on.device, p, given);
      for (let row = 0; row < 2 * 37; row++) {
        const [got, before] = [out, clean.out].map((x) => Array.from(x).slice(row * p.E, (row + 1) * p.E));
        if (row % 37 < 21) expectSameBits(`row ${row}`, got!, before!);
        else expect(Number.isFinite(got![0])).toBe(false);
      }
    }
  });

  test('keys beyond the length are not read, and have no gradient', async () => {
    const p: Case = { ...small, B: 2, lengths: [37, 20], causal: true, decay: true };
    const { inputs } = inputsOf(p);
    const poisoned = inputs.map((x) => x.slice());
    const [headM, headE] = [37 * p.M, 37 * p.E];
    for (let h = 0; h < 2; h++) {
      poisoned[1]!.fill(NaN, (2 + h) * headM + 20 * p.M, (3 + h) * headM);
      poisoned[2]!.fill(NaN, (2 + h) * headE + 20 * p.E, (3 + h) * headE);
      poisoned[3]!.fill(NaN, (2 + h) * 37 + 20, (3 + h) * 37);
    }
    const [clean, got] = [await run(on.device, p), await run(on.device, p, poisoned)];
    expectSameBits('out', got.out, clean.out);
    expectSameBits('state', got.state, clean.state);
  });

  test('a row without features gives 0 and no gradient, without eps too', async () => {
    const { device } = on;
    const [out, dk] = scope(() => {
      const q = tensor([0, 0, 1, 2], [1, 1, 2, 2], { device });
      const k = tensor([1, 1, 1, 3], [1, 1, 2, 2], { device, requiresGradient: true });
      const v = tensor([5, 7], [1, 1, 2, 1], { device });
      const { out } = linearAttend(q, k, v, { eps: 0 });
      return [out, ...gradients([out], [k], [tensor([1, 0], [1, 1, 2, 1], { device })])] as [Tensor, Tensor];
    });
    // (1·1 + 2·1) · 5 and (1·1 + 2·3) · 7
    expectClose('out', await out.data(), [0, (3 * 5 + 7 * 7) / 10]);
    expect([...(await dk.data())]).toEqual([0, 0, 0, 0]);
    disposeAll([out, dk]);
  });

  test('counts what it does, and keeps no states', () => {
    const { device } = on;
    const extra = (n: number) =>
      scope(() => {
        const [q, k, v] = [16, 16, 8].map((columns, i) =>
          tensor(uniform(i, 2 * n * columns, 0, 1), [1, 2, n, columns], { device, requiresGradient: true }),
        ) as [Tensor, Tensor, Tensor];
        const dout = tensor(uniform(4, 2 * n * 8), [1, 2, n, 8], { device });
        const start = { ...device.counters };
        const before = device.ledger.mark();
        const { out, state } = linearAttend(q, k, v, { causal: true, chunk: 24 });
        const forward = device.counters.multiplyAdds - start.multiplyAdds;
        const found = gradients([out], [q, k, v], [dout]);
        const named = [out, state, ...found].reduce((sum, x) => sum + x.byteLength, 0);
        // the state twice, the scores and values of pairs, the divisor
        const least = 2 * (2 * n * 16 * 8 + 0.5 * 24 * n * (16 + 8) + 2 * n * 16);
        expect(forward).toBeGreaterThanOrEqual(least);
        // more: the sums of segments, and lanes of scores that no row sees
        expect(forward).toBeLessThanOrEqual(1.8 * least);
        expect(device.counters.bytesMoved - start.bytesMoved).toBeGreaterThan(named);
        return device.ledger.peak - before - named;
      });
    const [short, long] = [extra(1024), extra(4096)];
    // divisors and their gradients, and the output's gradient divided: [2, n] twice and [2, n, 8]
    expect(long - short).toBeLessThanOrEqual(4 * 2 * 3072 * (1 + 1 + 8));
  });

  test('halves are computed in f32', async () => {
    const { device } = on;
    const [half, wide] = scope(() => {
      const x = [5, 5, 7].map((columns, i) =>
        tensor(uniform(i, 9 * columns, 0.1, 1), [1, 1, 9, columns], { device, dtype: 'f16' }),
      );
      const [q, k, v] = x as [Tensor, Tensor, Tensor];
      const { out } = linearAttend(q, k, v, { causal: true });
      return [out, cast(linearAttend(cast(q, 'f32'), cast(k, 'f32'), cast(v, 'f32'), { causal: true }).out, 'f16')];
    });
    expect(half.dtype).toBe('f16');
    expectSameBits('f16', await half.data(), await wide.data());
    disposeAll([half, wide]);
  });
});
