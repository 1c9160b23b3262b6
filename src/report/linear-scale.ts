import type { Scale } from './scale.js';

/**
 * Maps values to pixels `from … to`, opened up to multiples of 1, 2 or 5 times a power of ten, of which about `count` are
 * labelled.
 */
export function linearScale(values: readonly number[], from: number, to: number, count = 6): Scale {
  const finite = values.filter(Number.isFinite);
  const [least, most] = finite.length === 0 ? [0, 1] : [Math.min(...finite), Math.max(...finite)];
  // one value alone lies in the middle
  const room = most > least ? 0 : Math.abs(most) / 10 || 1;
  const step = roundStep((most - least + 2 * room) / count);
  const [first, last] = [Math.floor((least - room) / step + 1e-9), Math.ceil((most + room) / step - 1e-9)];
  const [low, high] = [first * step, last * step];
  const scale = (value: number): number => from + ((value - low) / (high - low)) * (to - from);
  // a product, not a sum: no error grows from tick to tick
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  return Object.assign(scale, { ticks });
}

/** The smallest of 1, 2 and 5 times powers of ten that is at least `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= step * (1 - 1e-9))!;
}
