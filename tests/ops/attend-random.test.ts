import * as fc from 'fast-check';
import { test } from 'vitest';
import { expectedOf } from '../oracles/attend-budget.js';
import { onEveryDevice } from '../support/devices.js';
import { settings } from './attend-arbitrary.js';
import { expectResults, run } from './attend-run.js';

const full = process.env['SUBQUAD_FULL'] === '1';

onEveryDevice((on) => {
  const few = on.kind === 'native' && !full;
  const runs = full ? 1000 : 200;

  test(
    `${runs} random shapes, masks and scores agree with the oracle, forward and backward`,
    () =>
      fc.assert(
        fc.asyncProperty(settings(few ? 'few' : 'all'), async (setting) => {
          const { results } = await run(on.device, setting);
          expectResults('attend', results, expectedOf(setting.problem, setting.cotangents), setting.seed);
        }),
        { seed: 20_240_607, numRuns: runs },
      ),
    600_000,
  );
});
