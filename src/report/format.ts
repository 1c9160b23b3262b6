/** Numbers for people: three significant digits, a unit, no exponents where a prefix does. */

function significant(value: number): string {
  if (value === 0) return '0';
  // 9.999 is 10.0, not 10.00
  const rounded = Number(value.toPrecision(3));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded)) + 1e-9));
  return rounded.toFixed(Math.min(digits, 2));
}

export function milliseconds(value: number): string {
  if (value >= 1000) return `${significant(value / 1000)} s`;
  return value >= 0.1 ? `${significant(value)} ms` : `${significant(value * 1000)} µs`;
}

/** Powers of 1000: kB, MB, GB. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? `${value} B` : `${significant(value / 1000 ** power)} ${units[power]}`;
}

export const gflops = (value: number): string => significant(value);

export const percent = (share: number): string =>
  `${share >= 0.1 || share === 0 ? (100 * share).toFixed(0) : (100 * share).toFixed(share >= 0.01 ? 1 : 2)} %`;

export const times = (factor: number): string => `${factor >= 100 ? factor.toFixed(0) : significant(factor)}×`;

/** A relative error: a percentage where one can be read, else a power of ten. */
export const error = (value: number): string => (value >= 0.0005 ? percent(value) : value.toExponential(1));

export const integer = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

/** A length the way people say it: 512, 1k, 16k. */
export const length = (n: number): string => (n >= 1024 && n % 1024 === 0 ? `${n / 1024}k` : integer(n));

/** `1 thread`, `2 threads`. */
export const count = (n: number, what: string): string => `${integer(n)} ${what}${n === 1 ? '' : 's'}`;

/** Where something ran: `wasm, 2 threads`; a GPU has no threads that one counts. */
export const place = ({ kind, threads }: { readonly kind: string; readonly threads: number }): string =>
  kind === 'webgpu' ? kind : `${kind}, ${count(threads, 'thread')}`;

/** Its vectors: `512-bit vectors`, or `vectors of 16 lanes`. */
export const vectors = ({ kind, width }: { readonly kind: string; readonly width: number }): string =>
  kind === 'webgpu' ? `vectors of ${count(width, 'lane')}` : `${32 * width}-bit vectors`;

/** A number of operations: 950, 1.20 M, 34.4 G. */
export function operations(value: number): string {
  const units = ['', ' k', ' M', ' G', ' T', ' P'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? integer(value) : `${significant(value / 1000 ** power)}${units[power]}`;
}

/** Seconds the way people say them: `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
