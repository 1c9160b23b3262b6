import { resolve } from 'node:path';
import { byteTokeniser, loadTokeniser } from '../../data/index.js';
import {
  generate as tokensOf,
  openSession,
  type ModelConfig,
  type SessionOptions,
  type TextSession,
  layersOf,
} from '../../models/index.js';
import { rehearseSession } from '../../models/rehearse.js';
import { mechanism } from '../../attention/index.js';
import { BUNDLED_MODEL } from '../../studies/bundled.js';
import { loadModel } from '../../train/model-file.js';
import { styleFor } from '../ansi.js';
import { parseOptions, type Values } from '../arguments.js';
import { deviceOption, noPositionals, seedOption, threadsOption, withDevice, jsonOption } from '../common-options.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';

const WHO = 'subquad generate';

const options = {
  prompt: {
    takes: 'text',
    value: 'TEXT',
    default: 'It is a truth universally acknowledged, ',
    help: 'what the text begins with',
  },
  tokens: { takes: 'integer', value: 'N', range: [1, 10_000_000], default: 400, help: 'tokens to generate' },
  temperature: { takes: 'number', value: 'T', range: [0, 100], default: 0.8, help: '0 takes the likeliest token' },
  'top-k': {
    takes: 'integer',
    value: 'K',
    range: [0, 1_000_000],
    default: 0,
    help: 'draw from the K likeliest; 0: all',
  },
  'top-p': {
    takes: 'number',
    value: 'P',
    range: [1e-9, 1],
    default: 1,
    help: 'draw from the likeliest that have probability P',
  },
  seed: seedOption,
  cache: {
    takes: 'choice',
    choices: ['fixed', 'ring', 'sink'],
    help: 'keys that stay: all, the last --window, or also the first --sinks;\ndefault fixed, and ring beyond the trained length',
  },
  window: { takes: 'integer', value: 'N', range: [1, 2 ** 24], help: 'tokens of a ring; default the trained length' },
  sinks: { takes: 'integer', value: 'N', range: [1, 2 ** 16], help: 'first tokens that a sink cache keeps; default 4' },
  plugin: pluginOption,
  weights: { takes: 'choice', choices: ['best', 'last'], help: "which of a run's; default the best" },
  device: deviceOption,
  threads: threadsOption,
  stats: { takes: 'nothing', help: 'print time and memory at the end, on stderr' },
  json: { ...jsonOption, help: 'write text and times to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} [model] [options]`,
  about:
    'Goes on with a text, token by token, with a trained model: the folder of a run, an exported NAME.safetensors, or (default) the\n' +
    'small model of novels that comes with the package. The same seed gives the same text.',
  options,
  examples: [
    [WHO, 'the bundled model goes on with the first line of its novel'],
    [`${WHO} runs/mine --prompt "Call me " --temperature 0.6 --top-k 40`, 'a model of your own'],
    [`${WHO} --tokens 20000 --cache sink --window 256 --stats`, 'a long text with a cache that does not grow'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals, 1);
  refuseUnused(values);
  const json = jsonOutput(WHO, values.json, io);
  const say = json?.standard === true ? () => undefined : (text: string) => io.data(text);
  const style = styleFor(io, io.errTerminal);
  return withDevice(WHO, values, async (device) => {
    const { weights } = values;
    const {
      model,
      config,
      json: kept,
    } = await loadModel(resolve(io.cwd, positionals[0] ?? BUNDLED_MODEL), {
      device,
      ...(weights && { weights: weights as 'best' | 'last' }),
    });
    let text: TextSession | undefined;
    try {
      const path = (kept['data'] as { readonly tokeniser?: string | null } | undefined)?.tokeniser;
      const tokeniser = path ? await loadTokeniser(resolve(io.cwd, path)) : byteTokeniser;
      const prompt = tokeniser.encode(values.prompt);
      const { session, note } = sessionOptions(config, values, prompt.length + values.tokens);
      if (note !== undefined) io.err(`${style.dim(note)}\n`);
      text = openSession(model, session);
      await device.compileAll(rehearseSession(config, { like: device.info, session, prompt: prompt.length }));
      const shown = tokeniser.decoder();
      const times: number[] = [];
      let out = '';
      const put = (piece: string): void => {
        out += piece;
        say(piece);
      };
      const stopping = (): boolean => io.interruption?.asked() ?? false;
      io.interruption?.listen(true);
      put(shown.push(prompt));
      device.ledger.mark();
      let before = performance.now();
      const { temperature, 'top-k': topK, 'top-p': topP, tokens, seed } = values;
      for await (const token of tokensOf(text, { prompt, tokens, temperature, topK, topP, seed, stopping })) {
        const now = performance.now();
        times.push(now - before);
        before = now;
        put(shown.push([token]));
      }
      put(`${shown.end()}\n`);
      const found = statistics(times, prompt.length, { peak: device.ledger.peak, cache: device.ledger.live('cache') });
      if (values.stats) io.err(statisticsText(found));
      json?.write({ prompt: values.prompt, text: out, seed, ...found, session });
      return stopping() ? 130 : 0;
    } finally {
      io.interruption?.listen(false);
      text?.dispose();
      model.dispose();
    }
  });
}

/** What a cache has no use for would go unheard. */
function refuseUnused({ cache, window, sinks }: Values<typeof options>): void {
  if (cache === 'fixed' && window !== undefined) {
    throw new UsageError(
      `${WHO}: a fixed cache keeps all keys and has no --window; take --cache ring or sink, or leave it out.`,
    );
  }
  if (cache !== undefined && cache !== 'sink' && sinks !== undefined) {
    throw new UsageError(`${WHO}: a ${cache} cache has no --sinks; take --cache sink, or leave them out.`);
  }
}

/** The cache that was asked for, or one that lasts for `total` tokens. */
function sessionOptions(
  config: ModelConfig,
  { cache, window, sinks }: Values<typeof options>,
  total: number,
): { readonly session: SessionOptions; readonly note?: string } {
  const { length } = config;
  const bounded =
    config.kind !== 'decoder' ||
    layersOf(config).every((layer) => mechanism(layer.mechanism.name).definition.supports.decode === 'recurrent');
  if (cache === undefined && window === undefined && sinks === undefined && (bounded || total <= length)) {
    return { session: { maxLength: total } };
  }
  const kind = (cache ?? (sinks === undefined ? 'ring' : 'sink')) as 'fixed' | 'ring' | 'sink';
  const kept = { ...(kind !== 'fixed' && { window: window ?? length }), ...(kind === 'sink' && { sinks: sinks ?? 4 }) };
  const session = { maxLength: total, cache: kind, ...kept };
  if (cache !== undefined || window !== undefined || sinks !== undefined) return { session };
  return { session, note: `more tokens than the ${length} it was trained on: each sees the last ${length} (--cache)` };
}

interface Statistics {
  readonly tokens: number;
  readonly promptTokens: number;
  /** Until the first token was there, prompt included. */
  readonly firstMilliseconds: number;
  /** Medians of the tokens around some positions. */
  readonly milliseconds: readonly { readonly position: number; readonly median: number }[];
  readonly tokensPerSecond: number;
  readonly peakBytes: number;
  readonly cacheBytes: number;
}

const POSITIONS = [100, 300, 1000, 3000, 10_000, 30_000, 100_000];

function statistics(
  times: readonly number[],
  promptTokens: number,
  { peak, cache }: { readonly peak: number; readonly cache: number },
): Statistics {
  const rest = times.slice(1);
  const medianOf = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
  const around = (position: number): readonly number[] => {
    const at = position - promptTokens;
    return times.slice(Math.max(1, at - Math.ceil(position / 10)), at);
  };
  return {
    tokens: times.length,
    promptTokens,
    firstMilliseconds: times[0] ?? 0,
    milliseconds: POSITIONS.filter(
      (position) => position <= promptTokens + times.length && around(position).length > 0,
    ).map((position) => ({ position, median: medianOf(around(position)) })),
    tokensPerSecond:
      (1000 * rest.length) /
      Math.max(
        1e-9,
        rest.reduce((sum, time) => sum + time, 0),
      ),
    peakBytes: peak,
    cacheBytes: cache,
  };
}

function statisticsText(found: Statistics): string {
  const { tokens, tokensPerSecond, milliseconds, firstMilliseconds, promptTokens, peakBytes, cacheBytes } = found;
  const at = milliseconds.map(({ position, median }) => `${format.integer(position)}: ${format.milliseconds(median)}`);
  return [
    `${format.count(tokens, 'token')}, ${tokensPerSecond.toFixed(0)} tokens/s`,
    `prompt of ${promptTokens} ${format.milliseconds(firstMilliseconds)}`,
    ...(at.length > 0 ? [`time per token at position ${at.join(', ')}`] : []),
    `memory ${format.bytes(peakBytes)}, of it caches ${format.bytes(cacheBytes)}`,
  ]
    .join('; ')
    .concat('\n');
}

export const generate: Command = { summary: 'goes on with a text, with your model or the bundled one', help, run };
