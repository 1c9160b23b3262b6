import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Prints lines. */
export const say = (...lines) => process.stdout.write(`${lines.join('\n')}\n`);

/** Prints rows as columns: the first to the left, the others to the right. */
export function table(head, rows) {
  const lines = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const format = (line) =>
    line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd();
  say(format(lines[0]), widths.map((width) => '-'.repeat(width)).join('  '), ...lines.slice(1).map(format), '');
}

export const count = (number) => Math.round(number).toLocaleString('en-US');
/** Bytes as the chapter writes them: a megabyte is 10⁶. */
export const bytes = (number) =>
  number >= 1e9 ? `${(number / 1e9).toFixed(2)} GB` : `${(number / 1e6).toFixed(number < 1e7 ? 2 : 1)} MB`;
export const percent = (share) => `${(100 * share).toFixed(2)} %`;

/** Writes a picture into the folder, and says where it is. */
export function save(folder, name, svg) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, svg);
  say(`picture: ${relative(process.cwd(), path)}`);
  return path;
}

/**
 * Runs `main({ folder, … })` where the file itself was started: `node examples/<file> [folder] [steps=20 …]`. Numbers by name
 * take the place of those that `main` has.
 */
export async function start(url, main) {
  const own = fileURLToPath(url);
  if (process.argv[1] !== own) return;
  const given = process.argv.slice(2).map((argument) => /^(?:([a-z]\w*)=)?(.*)$/i.exec(argument));
  const numbers = given.flatMap(([, name, value]) => (name === undefined ? [] : [[name, Number(value)]]));
  const folder = given.find(([, name]) => name === undefined)?.[2] ?? fileURLToPath(new URL('out', import.meta.url));
  await main({ folder, ...Object.fromEntries(numbers) });
}

/** `length` normal numbers, the same for the same seed; not for statistics of more than a few million. */
export function normal(seed, length) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
}
