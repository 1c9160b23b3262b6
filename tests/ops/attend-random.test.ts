import * as fc from 'fast-check';
import { test } from 'vitest';
import { expectedOf } from '../oracles/attend-budget.js';
import { onEveryDevice } from '../support/devices.js';
import { settings } from './attend-arbitrary.js';
import { expectResults, run } from './attend-run.js';

const full = process.env['SUBQUAD_FULL'] === '1';

onEveryDevice((on) => {
  // on native each size and each combination of expressions is compiled, so fewer of them are drawn
  const [some, runs] =
    on.kind === 'native' ? [{ sizes: fc.constant(16), combined: false }, full ? 300 : 40] : [{}, full ? 2000 : 200];

  test(
    `${runs} random shapes, masks and scores agree with the oracle, forward and backward`,
    () =>
      fc.assert(
        fc.asyncProperty(settings(some), async (setting) => {
          const { results } = await run(on.device, setting);
          expectResults('attend', results, expectedOf(setting.problem, setting.cotangents), setting.seed);
        }),
        { seed: 20_240_607, numRuns: runs },
      ),
    600_000,
  );
});
