import { describe, test } from 'vitest';
import type { Mechanism, OptionSpecs, OptionValues, Supports } from '../../../src/attention/index.js';
import { onEveryDevice } from '../../support/devices.js';
import { full } from '../../support/full.js';
import * as bits from './bits.js';
import * as cost from './cost.js';
import { decode } from './decode.js';
import * as isolation from './isolation.js';
import * as refusals from './refusals.js';
import { removal } from './removal.js';
import { gated, type Check, type GateSpec } from './spec.js';
import * as values from './values.js';
import * as weights from './weights.js';

export type { Case, ExactCase, GateSpec } from './spec.js';

/** Every check by name. Each has a mutant in `mutants.test.ts`, which it must find. */
export const checks = {
  'agrees with the formula, forward and backward': values.oracle,
  'agrees with the formula at random': values.randomCases,
  'is exact where it should be': values.exactWhen,
  'large scores stay finite': values.largeScores,
  'weights are non-negative and sum to 1': weights.weights,
  'sees exactly its pattern': weights.pattern,
  'logsumexp is that of its pattern': weights.logsumexp,
  'the future changes nothing': isolation.future,
  'no gradient or weight on the future': isolation.futureGradient,
  'padding changes nothing': isolation.padding,
  'padding equals removal': removal,
  'batch rows are apart': isolation.batches,
  'steps equal one pass': decode,
  'equal bits for every number of threads': bits.threads,
  'equal bits again and on redraw': bits.rerun,
  'refuses what it does not support': refusals.capabilities,
  'refuses options out of range': refusals.options,
  'cost formula is what is counted': cost.formula,
  'memory is what is predicted': cost.bytes,
  'leaves nothing behind': cost.leaks,
} as const satisfies Readonly<Record<string, Check>>;

/** Checks of the full run: what they see in half of the cases is seen by others, and they take a fifth of the time. */
const sweeps = new Set(['agrees with the formula at random', 'equal bits for every number of threads']);

export type CheckName = keyof typeof checks;

/**
 * Declares every check for a mechanism on every device. Called once, from the mechanism's own test file:
 * `gate(longformer, { oracle, options: [{ radius: 3 }] })`.
 */
export function gate<O extends OptionSpecs, P extends string, I extends string, S extends Supports>(
  mechanism: Mechanism<O, P, I, S>,
  spec: GateSpec<OptionValues<O>>,
): void {
  const { except = {} } = spec;
  const unknown = Object.keys(except).filter((name) => !(name in checks));
  if (unknown.length > 0) throw new Error(`gate: no check is called ${unknown.join(', ')}`);
  const one = gated(mechanism, spec as unknown as GateSpec);
  describe(`gate of ${mechanism.name}`, () => {
    onEveryDevice((on) => {
      for (const [name, check] of Object.entries<Check>(checks)) {
        const reason = except[name];
        const why = reason === undefined ? '' : `: not here, ${reason}`;
        test.skipIf(reason !== undefined || (sweeps.has(name) && !full))(`${name}${why}`, () => check(one, on));
      }
    });
  });
}
