import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as errors from '../../src/core/errors.js';
import { createDevice, liveTensors, Mask, mechanisms, scope, Score, type Device } from '../../src/index.js';
import { disposeAll } from '../../src/tensor/index.js';
import { tensorsIn } from '../../src/tensor/scope.js';
import { full } from '../support/full.js';
import { strangers, type Kind, type World } from './kinds.js';
import type { Plain, Row } from './row.js';
import { settingsOf } from './rows/attention.js';
import { rows } from './rows/index.js';

// Every function that the package exports, called with one wrong value after the other in every place of its signature and
// in every option: it must refuse with an error of the library, or the row must say that the value may stand there. Places
// beyond the signature follow JavaScript, which drops them, so that `tensors.map(relu)` works.

const root = join(import.meta.dirname, '../..');
const entries = Object.entries(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: Record<string, unknown> }).exports,
);

/** The source of an entry of `exports`; undefined for one that is a file as it is. */
function sourceOf(target: unknown): string | undefined {
  if (typeof target === 'string')
    return /^\.\/dist\/.*\.js$/.test(target) ? target.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts') : undefined;
  const { default: fallback } = target as { default?: unknown };
  return fallback === undefined ? undefined : sourceOf(fallback);
}

interface Export {
  readonly entry: string;
  readonly name: string;
  readonly exported: unknown;
}
const all: Export[] = [];
for (const [entry, target] of entries) {
  const source = sourceOf(target);
  if (source === undefined) continue;
  const found = (await import(/* @vite-ignore */ pathToFileURL(join(root, source)).href)) as Record<string, unknown>;
  for (const [name, exported] of Object.entries(found)) all.push({ entry, name, exported });
}

const isClass = (value: unknown): value is { readonly prototype: object } =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

/** Functions, classes, their methods, and those of what they return that have rows, each once. */
const functions = new Map<string, Export>();
const seen = new Set<unknown>();
for (const one of all) {
  if (typeof one.exported !== 'function' || seen.has(one.exported)) continue;
  seen.add(one.exported);
  const add = (name: string): unknown => functions.set(`${one.entry} ${name}`, { ...one, name });
  add(one.name);
  if (!isClass(one.exported)) continue;
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(one.exported.prototype))) {
    if (name !== 'constructor' && typeof value === 'function') add(`${one.name}.${name}`);
  }
}

for (const [entry, own] of Object.entries(rows)) {
  if (entry === '.') continue;
  for (const name of Object.keys(own).filter((one) => one.includes('().')))
    functions.set(`${entry} ${name}`, { entry, name, exported: undefined });
}

const rowOf = ({ entry, name }: Export): Row | Plain | undefined => rows[entry]?.[name];
const classes = Object.values(errors).filter(isClass) as unknown as readonly (new () => Error)[];
const isOurs = (error: unknown): boolean => classes.some((one) => error instanceof one);

let world: World;
let devices: readonly Device[] = [];
beforeAll(async () => {
  const open = () => createDevice({ kind: 'wasm', threads: 1 });
  const [device, other] = [await open(), await open()];
  devices = [device, other];
  world = { device, other, folder: mkdtempSync(join(tmpdir(), 'subquad-exports-')) };
});
afterAll(async () => {
  for (const device of devices) await (device as Device & { dispose: () => Promise<void> }).dispose();
  rmSync(world.folder, { recursive: true });
});

const say = (error: unknown): string => (error instanceof Error ? String(error) : typeof error);

/** What a call comes to: its error, or undefined. */
async function outcome(row: Row, exported: unknown, args: readonly unknown[]): Promise<{ readonly error?: unknown }> {
  try {
    const result: unknown = await scope(() => row.call(exported as never, args, world));
    // rules are looked at when a shape is known
    await (result instanceof Promise ? result.catch(() => undefined) : undefined);
    if (result instanceof Mask || result instanceof Score) result.expression({ B: 1, H: 2, G: 2, L: 4, S: 4 });
    disposeAll(result);
    return {};
  } catch (error) {
    return { error };
  }
}

/** Places tried so far. By default each is given every third stranger, in turns; all in the full run. */
let placesTried = 0;

/** Tries strangers in one place. `args` gives the arguments with a value in it. */
async function tryPlace(
  place: string,
  kind: Kind,
  row: Row,
  exported: unknown,
  args: (value: unknown) => readonly unknown[],
): Promise<string[]> {
  const faults = new Map<string, string[]>();
  const add = (what: string, name: string): unknown => faults.set(what, [...(faults.get(what) ?? []), name]);
  const turn = placesTried++;
  const names = Object.keys(strangers(world)).filter((_, i) => full || (i + turn) % 3 === 0);
  for (const name of names) {
    const value = strangers(world)[name];
    const { error } = await outcome(row, exported, args(value));
    if (error !== undefined && !isOurs(error)) add(say(error), name);
    if (error === undefined && !kind.takes(value, world)) add('taken', name);
    // one tensor elsewhere among tensors here
    if (error === undefined && name === 'tensor elsewhere' && tensorsIn([...args(undefined)]).size > 0)
      add('mixed', name);
  }
  return [...faults].map(([what, names]) => `${place} = ${names.join(', ')}: ${what}`);
}

async function tryRow(row: Row, exported: unknown): Promise<readonly string[]> {
  const valid = (): unknown[] => row.signature.map((kind) => kind.valid(world));
  const { error } = await outcome(row, exported, valid());
  const faults = error === undefined ? [] : [`the valid call: ${say(error)}`];
  for (const [at, kind] of row.signature.entries()) {
    const put = (value: unknown): unknown[] => valid().map((own, i) => (i === at ? value : own));
    faults.push(...(await tryPlace(`argument ${at}`, kind, row, exported, put)));
    if (kind.options === undefined) continue;
    const known = Object.keys(kind.options);
    const given = (): object => kind.valid(world) as object;
    const { error: unknown } = await outcome(row, exported, put({ ...given(), nonsense: 1 }));
    const listed = /known are ([\w, ]+)/.exec(say(unknown))?.[1]?.split(', ').sort();
    // a row that has fallen behind would leave an option untried
    if (kind.open !== true && String(listed) !== String(known.sort()))
      faults.push(`options of the row: ${known.join()}; ${say(unknown)}`);
    for (const [name, option] of Object.entries(kind.options)) {
      const isRequired = kind.required?.includes(name) === true;
      const own: Kind = { ...option, takes: (x, w) => (x === undefined && !isRequired) || option.takes(x, w) };
      faults.push(
        ...(await tryPlace(`argument ${at}.${name}`, own, row, exported, (value) =>
          put({ ...given(), [name]: value }),
        )),
      );
    }
  }
  return faults;
}

describe.each(mechanisms.map((one) => [one.name, one] as const))('options of %s', (_, one) => {
  test('each takes what it says, and nothing else', async () => {
    const faults = await scope(() => tryRow(settingsOf(one), undefined));
    expect(faults, faults.join('\n')).toEqual([]);
  });
});

test('every entry of the package was found', () =>
  expect(new Set(all.map(({ entry }) => entry)).size).toBeGreaterThan(4));

describe.each([...functions.entries()])('%s', (_, one) => {
  const row = rowOf(one);
  test('has a row', () => expect(row, 'add it to tests/exports/rows').toBeDefined());
  if (row === undefined || 'plain' in row) return;
  test('takes what it says, and refuses everything else with an error of its own', async () => {
    const before = liveTensors();
    const faults = await scope(() => tryRow(row, one.exported));
    expect(faults, faults.join('\n')).toEqual([]);
    expect(liveTensors(), 'tensors that were left behind').toBe(before);
  });
});
