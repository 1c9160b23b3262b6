import { expectSameBits } from '../../support/compare.js';
import { withThreads } from '../../support/devices.js';
import { causalities, describeCase, optionSets, plainCases, admits, base, sizesOf } from './cases.js';
import type { Results } from './expected.js';
import { run } from './run.js';
import { full } from '../../support/full.js';
import type { Case, Check, Gated } from './spec.js';

const counts = full ? [1, 2, 3] : [1, 3];

function expectEqual(who: string, got: Results, want: Results): void {
  for (const [name, numbers] of Object.entries(want)) expectSameBits(`${who}: ${name}`, got[name]!, numbers);
}

/** Long enough that several threads have something to do. */
function longCases({ mechanism, spec }: Gated): Case[] {
  const [, middle, large] = sizesOf(spec);
  return optionSets(spec).flatMap((options, n) =>
    causalities(mechanism)
      .map((causal) => {
        const length = n === 0 ? large : middle;
        return { shape: { ...base, L: length, S: length }, options, causal };
      })
      .filter((one) => admits(mechanism, one)),
  );
}

/** Output and gradients have equal bits for 1 thread and several. */
export const threads: Check = async (gated, { kind }) => {
  const { mechanism, answers } = gated;
  const cases = longCases(gated);
  const [one, ...others] = await withThreads(kind, counts, async (device) => {
    const results: Results[] = [];
    for (const each of cases) results.push((await run(device, mechanism, each, answers.data(each))).results);
    return results;
  });
  for (const [index, other] of others.entries()) {
    cases.forEach((each, n) =>
      expectEqual(`${mechanism.name} ${describeCase(each)}, ${counts[index + 1]} threads`, other[n]!, one![n]!),
    );
  }
};

/** Equal bits again; and with parameters drawn anew from one seed, but not from another. */
export const rerun: Check = async (gated, { device }) => {
  const { mechanism, answers } = gated;
  for (const one of plainCases(gated)) {
    const who = `${mechanism.name} ${describeCase(one)}`;
    const data = answers.data(one);
    const once = await run(device, mechanism, one, data);
    expectEqual(`${who}, again`, (await run(device, mechanism, one, data)).results, once.results);
    const names = Object.keys(data.parameters);
    const drawn = await run(device, mechanism, one, data, { redraw: true, forward: true });
    expectEqual(
      `${who}, drawn again`,
      (await run(device, mechanism, one, data, { redraw: true, forward: true })).results,
      drawn.results,
    );
    if (drawn.result.drawn.join() !== names.join() || drawn.result.seed !== data.seed)
      throw new Error(`${who}: the result names the drawn ${drawn.result.drawn.join()} and seed ${drawn.result.seed}`);
    if (once.result.drawn.length > 0)
      throw new Error(`${who}: says it drew ${once.result.drawn.join()}, which were given`);
    const specs = mechanism.definition.parameters?.(one.shape, data.options as never) ?? {};
    const initial = (seed: number): number[] =>
      Object.entries(specs).flatMap(([name, { init, shape }]) => [...init(shape, seed, `${mechanism.name} ${name}`)]);
    const other = { ...data, seed: data.seed + 1 };
    if (initial(data.seed).join() === initial(other.seed).join()) continue;
    const redrawn = await run(device, mechanism, one, other, { redraw: true, forward: true });
    if (Array.from(redrawn.results['out']!).every((x, n) => Object.is(x, drawn.results['out']![n])))
      throw new Error(`${who}: another seed draws the same output`);
  }
};
