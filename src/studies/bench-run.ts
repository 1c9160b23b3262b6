import type { Device } from '../devices/index.js';
import type { BenchCase, BenchOptions, TimedCase } from './bench-case.js';
import { alternate, median } from './timing.js';

/** Times the cases that were found right, in turns; the others keep their verdict and get no time. */
export async function timeCases(
  device: Device,
  cases: readonly BenchCase[],
  { rounds }: BenchOptions,
  progress: (text: string) => void,
  title: string,
): Promise<TimedCase[]> {
  progress(`${title}: timing`);
  const right = cases.filter(({ verdict }) => verdict.ok);
  const times = await alternate(
    right.map(({ run }) => run),
    { most: rounds, milliseconds: Infinity },
    () => device.synchronise(),
  );
  return cases.map(({ run: _run, ...rest }, i) => {
    const index = right.indexOf(cases[i]!);
    return { ...rest, milliseconds: index < 0 ? undefined : median(times[index]!) };
  });
}
