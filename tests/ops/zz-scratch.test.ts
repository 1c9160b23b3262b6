import { test } from 'vitest';
import * as fc from 'fast-check';
import { onEveryDevice } from '../support/devices.js';
import { expectedOf } from '../oracles/attend-budget.js';
import { settings } from './attend-arbitrary.js';
import { run } from './attend-run.js';
onEveryDevice((on) => {
  test('ratios', async () => {
    const n = Number(process.env['N'] ?? 100), some = on.kind === 'native' ? 'few' as const : 'all' as const;
    const all = fc.sample(settings(some), { seed: Number(process.env['SEED'] ?? 1), numRuns: n });
    let [a, b] = [0, 0]; const worst: [number, string][] = [];
    for (const s of all) {
      let t = performance.now(); const { results } = await run(on.device, s); a += performance.now() - t;
      t = performance.now(); const e = expectedOf(s.problem, s.cotangents); b += performance.now() - t;
      for (const name of Object.keys(e.exact)) { let m = 0; const x = e.exact[name]!; for (let i = 0; i < x.length; i++) if (Number.isFinite(x[i]!)) m = Math.max(m, Math.abs(results[name]![i]! - x[i]!)); worst.push([m === 0 ? 0 : m / e.budgets[name]!, name + ' ' + s[fc.toStringMethod]()]); }
    }
    worst.sort((x, y) => y[0] - x[0]);
    console.log(on.kind, 'library', a | 0, 'oracle', b | 0); for (const w of worst.slice(0, 12)) console.log(w[0].toFixed(2), w[1]);
  }, 900000);
});
