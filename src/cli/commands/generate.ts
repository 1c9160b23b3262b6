import { resolve } from 'node:path';
import type { FloatDtype } from '../../core/dtype.js';
import { byteTokeniser, loadTokeniser, type Tokeniser } from '../../data/index.js';
import {
  beamSearch,
  generateRows,
  openSession,
  type ModelConfig,
  type SessionOptions,
  type TextSession,
  layersOf,
} from '../../models/index.js';
import { StopStrings } from '../../models/stop-strings.js';
import { rehearseSession } from '../../models/rehearse.js';
import { mechanism } from '../../attention/index.js';
import { BUNDLED_MODEL } from '../../studies/bundled.js';
import { openModel } from '../../pretrained/open.js';
import { tokeniserOf } from '../../studies/tokeniser-of.js';
import { styleFor } from '../ansi.js';
import { parseOptions, type Values } from '../arguments.js';
import {
  deviceOption,
  dtypeOption,
  noPositionals,
  seedOption,
  threadsOption,
  withDevice,
  jsonOption,
} from '../common-options.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { drawing, drawnWith, refuseMixed } from '../generate-options.js';
import { statistics, statisticsText } from '../generate-statistics.js';
import { holed, type Holed } from '../generate-source.js';
import { jsonOutput } from '../json-output.js';
import { pluginOption } from '../plugins.js';
import { Progress } from '../progress.js';
import type { Command } from '../command.js';

const WHO = 'subquad generate';

const options = {
  prompt: {
    takes: 'texts',
    value: 'TEXT',
    default: ['It is a truth universally acknowledged, '],
    help: 'what the text begins with; may be there several times, for\nseveral texts at once',
  },
  samples: {
    takes: 'integer',
    value: 'N',
    range: [1, 1024],
    default: 1,
    help: 'texts of each prompt, of the seeds S, S + 1, … after --seed S',
  },
  tokens: { takes: 'integer', value: 'N', range: [1, 10_000_000], default: 400, help: 'tokens to generate' },
  ...drawing,
  seed: seedOption,
  cache: {
    takes: 'choice',
    choices: ['fixed', 'ring', 'sink'],
    help: 'keys that stay: all, the last --window, or also the first --sinks;\ndefault fixed, and ring beyond the trained length',
  },
  window: { takes: 'integer', value: 'N', range: [1, 2 ** 24], help: 'tokens of a ring; default the trained length' },
  'cache-dtype': {
    takes: 'choice',
    choices: ['f32', 'f16', 'bf16'],
    help: 'how keys and values are kept; 16 bits take half the memory',
  },
  dtype: dtypeOption,
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
    'small model of novels that comes with the package. The same seed gives the same text, alone or beside others. Several texts are\n' +
    'printed when all are done. A model of train --objective spans tells what the prompt lacks where it has ___, a line for each.',
  options,
  examples: [
    [WHO, 'the bundled model goes on with the first line of its novel'],
    [`${WHO} runs/mine --prompt "Call me " --temperature 0.6 --top-k 40`, 'a model of your own'],
    [
      `${WHO} --prompt "It was " --prompt "She had " --samples 3`,
      'six texts at once, of two beginnings and three seeds',
    ],
    [`${WHO} --prompt "Dear " --tokens 200 --min-p 0.05 --stop "\n\n"`, 'one paragraph, without what is unlikely'],
    [`${WHO} --prompt "It is " --tokens 40 --beams 8`, 'the likeliest text of 40 tokens, as far as 8 beams find it'],
    [`${WHO} --dtype bf16 --cache-dtype bf16`, 'half the memory of weights and caches'],
    [`${WHO} --tokens 20000 --cache sink --window 256 --stats`, 'a long text with a cache that does not grow'],
  ],
};

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals, 1);
  refuseUnused(values);
  refuseMixed(WHO, values);
  const json = jsonOutput(WHO, values.json, io);
  const say = json?.standard === true ? () => undefined : (text: string) => io.data(text);
  const progress = new Progress(io);
  const style = styleFor(io, io.errTerminal);
  return withDevice(WHO, values, async (device) => {
    const { weights } = values;
    const {
      model,
      config,
      json: kept,
    } = await openModel(resolve(io.cwd, positionals[0] ?? BUNDLED_MODEL), {
      device,
      ...(weights && { weights: weights as 'best' | 'last' }),
      ...(values.dtype && { dtype: values.dtype as FloatDtype }),
    });
    let text: TextSession | undefined;
    try {
      if (config.head !== undefined) {
        throw new UsageError(
          `${WHO}: this model tells classes of texts and does not go on with one; take one that was trained on next tokens.`,
        );
      }
      if (config.kind === 'encoder-decoder' && values.beams !== undefined) {
        throw new UsageError(`${WHO}: this model tells what a text lacks, without --beams; leave it out.`);
      }
      if (config.kind === 'encoder') {
        throw new UsageError(
          `${WHO}: this model is an encoder, whose tokens see those after them, so it does not go on with a text; take a model of kind decoder.`,
        );
      }
      const path = tokeniserOf(kept, io.cwd);
      const tokeniser = path ? await loadTokeniser(path) : byteTokeniser;
      const { tokens, beams } = values;
      const texts = textsOf(values, tokeniser, config);
      const longest = Math.max(...texts.map(({ tokens: given }) => given.length));
      const rows = beams === undefined ? texts.length : 1;
      const { session: cached, note } = sessionOptions(config, values, longest + tokens, rows);
      const sources = texts.flatMap(({ lacks }) => (lacks ? [lacks.source] : []));
      const session = { ...cached, ...(sources.length > 0 && { sources }) };
      if (note !== undefined) io.err(`${style.dim(note)}\n`);
      text = openSession(model, session);
      await device.compileAll(rehearseSession(config, { like: device.info, session, prompt: longest }));
      const times: number[] = [];
      const single = texts.length === 1;
      const put = (to: Text, piece: string): void => {
        to.text += piece;
        if (single) say(piece);
      };
      const stopping = (): boolean => io.interruption?.asked() ?? false;
      io.interruption?.listen(true);
      for (const one of texts) put(one, one.lacks ? hole(0) : one.decoder.push(one.tokens));
      device.ledger.mark();
      let before = performance.now();
      const prompts = texts.map(({ tokens: given }) => given);
      const seed = texts.map((one) => one.seed);
      const tick = (_tokens?: readonly number[]): void => {
        const now = performance.now();
        times.push(now - before);
        before = now;
        if (!single) progress.show(`${format.count(times.length, 'token')} of ${tokens}`);
      };
      const until = (token: number, row: number): boolean => {
        const { strings, decoder, lacks } = texts[row]!;
        const at = lacks?.holeOf(token);
        if (at !== undefined) {
          // what comes behind the last hole is asked of nobody
          if (at >= lacks!.holes) return true;
          put(texts[row]!, `${strings.push(decoder.end())}\n${hole(at)}`);
          return false;
        }
        put(texts[row]!, strings.push(decoder.push([token])));
        return strings.stopped !== undefined;
      };
      if (beams === undefined) {
        const drawn = generateRows(text, { prompts, tokens, ...drawnWith(values), seed, stopping, until });
        for await (const tokens of drawn) tick(tokens);
      } else {
        const penalty = values['length-penalty'];
        for (const one of texts) {
          if (stopping()) break;
          text.reset();
          const how = { prompt: one.tokens, tokens, beams, ...(penalty !== undefined && { lengthPenalty: penalty }) };
          const [best] = await beamSearch(text, how);
          put(one, one.decoder.push(best!.tokens));
          tick();
        }
      }
      progress.clear();
      for (const one of texts) put(one, `${one.strings.push(one.decoder.end())}${one.strings.end()}\n`);
      if (!single)
        for (const one of texts) say(`${styleFor(io, io.outTerminal).bold(headingOf(one, values))}\n${one.text}\n`);
      const found = statistics(times, longest, {
        texts: texts.length,
        peak: device.ledger.peak,
        cache: device.ledger.live('cache'),
      });
      if (values.stats) io.err(statisticsText(found));
      const written = texts.map((one) => ({ prompt: one.prompt, text: one.text, seed: one.seed }));
      json?.write({ ...(single ? written[0] : { texts: written }), ...found, session });
      return stopping() ? 130 : 0;
    } finally {
      progress.clear();
      io.interruption?.listen(false);
      text?.dispose();
      model.dispose();
    }
  });
}

/** A text that is generated: a row of the session. */
interface Text {
  readonly prompt: string;
  readonly seed: number;
  readonly tokens: ArrayLike<number>;
  readonly decoder: ReturnType<Tokeniser['decoder']>;
  readonly strings: StopStrings;
  /** Of a model that tells what a text lacks. */
  readonly lacks?: Holed;
  text: string;
}

const hole = (i: number): string => `${i + 1}: `;

const textsOf = (
  { prompt, samples, seed, stop }: Values<typeof options>,
  tokeniser: Tokeniser,
  config: ModelConfig,
): readonly Text[] =>
  prompt.flatMap((given) => {
    const lacks = config.kind === 'encoder-decoder' ? holed(WHO, given, tokeniser, config) : undefined;
    return Array.from({ length: samples }, (_, i) => ({
      prompt: given,
      seed: seed + i,
      ...(lacks && { lacks }),
      tokens: lacks?.start ?? tokeniser.encode(given),
      decoder: tokeniser.decoder(),
      strings: new StopStrings(stop),
      text: '',
    }));
  });

/** What tells a text from the others: its prompt begins it anyway. */
const headingOf = ({ seed }: Text, { samples }: Values<typeof options>): string =>
  samples > 1 ? `── seed ${seed}` : '──';

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
  { cache, window, sinks, 'cache-dtype': cacheDtype }: Values<typeof options>,
  total: number,
  rows: number,
): { readonly session: SessionOptions; readonly note?: string } {
  const { length } = config;
  const stored = cacheDtype === undefined ? {} : { cacheDtype: cacheDtype as FloatDtype };
  const bounded =
    config.kind !== 'decoder' ||
    layersOf(config).every((layer) => mechanism(layer.mechanism.name).definition.supports.decode === 'recurrent');
  if (cache === undefined && window === undefined && sinks === undefined && (bounded || total <= length)) {
    return { session: { maxLength: total, rows, ...stored } };
  }
  const kind = (cache ?? (sinks === undefined ? 'ring' : 'sink')) as 'fixed' | 'ring' | 'sink';
  const kept = { ...(kind !== 'fixed' && { window: window ?? length }), ...(kind === 'sink' && { sinks: sinks ?? 4 }) };
  const session = { maxLength: total, rows, cache: kind, ...kept, ...stored };
  if (cache !== undefined || window !== undefined || sinks !== undefined) return { session };
  return { session, note: `more tokens than the ${length} it was trained on: each sees the last ${length} (--cache)` };
}

export const generate: Command = { summary: 'goes on with a text, with your model or the bundled one', help, run };
