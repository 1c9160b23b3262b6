import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Mechanism, registerMechanism } from '../attention/index.js';
import { registerFeedForward, registerMixer } from '../models/index.js';
import { FeedForwardKind, MixerKind } from '../nn/index.js';
import { FailureError, type Io, isFault, UsageError } from './io.js';

/** Of every command that takes a mechanism. */
export const pluginOption = {
  takes: 'texts',
  value: 'FILE.mjs',
  help: 'a file of yours whose exports are mechanisms, mixers or feed-forward\nlayers, known by their names then; may be there several times',
} as const;

/** A file that was given, as the command line has it and as errors have it. */
interface Plugin {
  readonly path: string;
  readonly file: string;
}

/**
 * Runs `body` with the mechanisms of all `--plugin` files known by their names.
 *
 * @throws UsageError for a file without mechanisms, or a name that is taken; FailureError for one that cannot be loaded, or when
 * its code fails in `body`.
 */
export async function withPlugins<T>(who: string, argv: readonly string[], io: Io, body: () => Promise<T>): Promise<T> {
  const plugins = pathsIn(argv).map((path): Plugin => ({ path, file: resolve(io.cwd, path) }));
  const forget: (() => void)[] = [];
  try {
    for (const plugin of plugins) forget.push(...(await load(who, plugin)));
    return await body();
  } catch (error) {
    throw blamed(who, error, plugins);
  } finally {
    for (const one of forget) one();
  }
}

/** A missing option is reported by the command's own check. */
function pathsIn(argv: readonly string[]): string[] {
  const { values } = parseArgs({
    args: [...argv],
    options: { plugin: { type: 'string', multiple: true } },
    strict: false,
    allowPositionals: true,
  });
  const given = (values.plugin ?? []).filter((path): path is string => typeof path === 'string');
  return given.filter((path) => path !== '' && !path.startsWith('--'));
}

async function load(who: string, { path, file }: Plugin): Promise<(() => void)[]> {
  const found = `${who}: --plugin ${path}`;
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) throw new FailureError(`${found}: no such file.`);
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = (await import(pathToFileURL(file).href)) as typeof exported;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FailureError(`${found} cannot be loaded: ${why}`, { cause: error });
  }
  const all = [...new Set(Object.values(exported))];
  const [mechanisms, mixers] = [all.filter(isA(Mechanism)), all.filter(isA(MixerKind))];
  const feedForwards = all.filter(isA(FeedForwardKind));
  if (mechanisms.length + mixers.length + feedForwards.length === 0) {
    throw new UsageError(
      `${found} exports no mechanism; export what defineAttention, defineMixer or defineFeedForward returns.`,
    );
  }
  try {
    return [
      ...mechanisms.map((one) => registerMechanism(one, { plugin: file })),
      ...mixers.map((one) => registerMixer(one, { plugin: file })),
      ...feedForwards.map((one) => registerFeedForward(one, { plugin: file })),
    ];
  } catch (error) {
    throw new UsageError(
      `${found}: ${(error as Error).message.replace(/^register(Mechanism|Mixer|FeedForward): /, '')}`,
    );
  }
}

/** One of another copy of the package too: what is wrong with it, registering it says. */
const isA =
  <T>(kind: abstract new (...given: never) => T) =>
  (value: unknown): value is T =>
    value instanceof kind ||
    (typeof value === 'object' && value !== null && value.constructor.name === kind.name && 'definition' in value);

/** An error that no check foresaw is a plugin's where its code stands in the stack. */
function blamed(who: string, error: unknown, plugins: readonly Plugin[]): unknown {
  if (!(error instanceof Error && isFault(error))) return error;
  const one = plugins.find(({ file }) => error.stack?.includes(pathToFileURL(file).href));
  if (one === undefined) return error;
  return new FailureError(`${who}: --plugin ${one.path} failed: ${error.name}: ${error.message}`, { cause: error });
}
