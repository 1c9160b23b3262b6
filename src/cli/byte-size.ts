import { UsageError } from './io.js';

const units: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** A number of bytes, such as `8GB`. @throws UsageError that names the option. */
export function readBytes(who: string, option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = /^([\d.]+)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const bytes = Number(digits) * (unit === '' ? 1 : (units[unit.toLowerCase()] ?? NaN));
  if (bytes > 0 && Number.isFinite(bytes)) return Math.floor(bytes);
  throw new UsageError(`${who}: --${option} must be a number of bytes such as 8GB, 500MB or 2GiB; got "${text}".`);
}
