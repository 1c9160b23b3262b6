import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { constant, select } from '../src/codegen/expression/index.js';
import { createDevice } from '../src/devices/index.js';
import * as masks from '../src/masks/index.js';
import * as ops from '../src/ops/index.js';
import { disposeAll, gradients, scope, Tensor, tensor, zeros } from '../src/tensor/index.js';
import { uniform } from './support/random.js';

// Every @example of these folders is run. A line `expression; // value` must give the value: an array for a tensor,
// nested or flat; several values for a statement that declares several names. Any other comment is prose.
const folders = ['src/ops', 'src/tensor', 'src/devices'];

interface Example {
  readonly where: string;
  readonly lines: readonly string[];
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/ \* @example\n((?: \* .*\n)+)/g)].map((match) => ({
    where: `${file}:${text.slice(0, match.index).split('\n').length}`,
    lines: match[1]!
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^ \* /, '')),
  }));
}

const examples = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => examplesOf(`${folder}/${name}`)),
);

/** The line with a check of what its comment promises. */
function checked(line: string): string {
  const [, statement = line, comment] = /^(.*?);\s*\/\/ (.*)$/.exec(line) ?? [];
  if (comment === undefined) return line;
  const names = /^const (?:(\w+)|[[{] ?(.*?) ?[\]}]) =/.exec(statement);
  const wanted = JSON.stringify(comment);
  if (names === null) return `await check([${statement}], ${wanted});`;
  return `${statement}; await check([${names[1] ?? names[2]}], ${wanted});`;
}

async function check(values: readonly unknown[], comment: string): Promise<void> {
  let wanted: unknown[];
  try {
    wanted = JSON.parse(`[${comment}]`) as unknown[];
  } catch {
    return;
  }
  const got = await Promise.all(
    values.map(async (value) => (value instanceof Tensor ? [...(await value.data())] : value)),
  );
  const want = wanted.map((value, i) => (values[i] instanceof Tensor ? [value].flat(Infinity) : value));
  // six decimals, because comments are written by hand
  const rounded = (value: unknown): string =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === 'number' ? Number(part.toFixed(6)) : part));
  expect(rounded(got)).toBe(rounded(want));
}

describe('examples', async () => {
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  afterAll(() => device.dispose());

  test.each(examples)('$where', async ({ lines }) => {
    const [q, k, v] = [1, 2, 3].map((seed) => tensor(uniform(seed, 1024), [1, 2, 64, 8], { device }));
    const known = {
      ...masks,
      ...ops,
      constant,
      select,
      createDevice,
      tensor,
      zeros,
      scope,
      gradients,
      device,
      q,
      k,
      v,
      check,
    };
    const names = Object.keys(known);
    // shadowed by the example's own declarations
    const body = `return (async () => { ${lines.map(checked).join('\n')} })();`;
    // eslint-disable-next-line no-new-func, no-implied-eval, typescript/no-implied-eval
    const run = new Function(...names, body) as (...values: unknown[]) => Promise<void>;
    await scope(() => run(...Object.values(known)));
    disposeAll([q, k, v]);
  });
});
