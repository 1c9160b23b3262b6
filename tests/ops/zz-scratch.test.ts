import { test } from 'vitest';
import { onEveryDevice } from '../support/devices.js';
import { expectedOf } from '../oracles/attend-budget.js';
import { run } from './attend-run.js';
import { goldenCases, goldenProblem, goldenTensors } from './golden.js';
import { libraryOptions } from './attend-golden.test.js';
onEveryDevice((on) => {
  test('ratios', async () => {
    for (const c of goldenCases) {
      const x = goldenTensors(c.name);
      const captured = x.table ?? x.bias;
      const problem = goldenProblem(c, x);
      const { results } = await run(on.device, { problem, options: ([t]: any) => libraryOptions(c, x, t), tables: captured ? [captured] : [], cotangents: { dout: x.dout!.data } } as any);
      const e = expectedOf(problem, { dout: x.dout!.data });
      console.log(c.name.padEnd(22), Object.keys(e.exact).map((n) => { let m = 0; const a = e.exact[n]!; for (let i = 0; i < a.length; i++) if (Number.isFinite(a[i]!)) m = Math.max(m, Math.abs(results[n]![i]! - a[i]!)); return n + ' ' + (m / e.budgets[n]!).toFixed(2); }).join('  '));
    }
  }, 200000);
});
