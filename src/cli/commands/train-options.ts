import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe } from '../../core/describe.js';
import { isStream } from '../../core/files/read.js';
import { MASKING, vocabularyOf } from '../../data/index.js';
import { kinds, positionNames, presetOf, presets, residualKinds, type Preset } from '../../models/index.js';
import { objectives, readObjective, specialTokens } from '../../studies/objective.js';
import { CONFIG, configOf } from '../../studies/train.js';
import { DEFAULT_MINUTES, precisions, readTrainConfig, type TrainConfig } from '../../studies/train-config.js';
import { optimiserNames, schedules } from '../../studies/train-optimiser.js';
import { tokeniserOf } from '../../studies/tokeniser-of.js';
import { isPublished, readPublished } from '../../pretrained/open.js';
import { readJson, readModelJson } from '../../train/model-file.js';
import type { Options, Values } from '../arguments.js';
import { deviceOption, longestLength, threadsOption, jsonOption } from '../common-options.js';
import { FailureError, type Io, UsageError } from '../io.js';
import { chooseMechanism, MECHANISM, readFeedForwards, setOption } from '../mechanism-options.js';
import { textPath } from '../text-file.js';
import { labelFlags, labelOptions } from './train-labels.js';
import { pluginOption } from '../plugins.js';

const count = (help: string, most = 2 ** 20) => ({ takes: 'integer', value: 'N', range: [1, most], help }) as const;

export const options = {
  config: {
    takes: 'text',
    value: 'FILE.json',
    help: 'sections model, data and train; the options below come before it',
  },
  preset: {
    takes: 'choice',
    choices: Object.keys(presets),
    help: 'sizes, or a whole stack, to begin with; default tiny.\nSee below, and subquad mechanisms',
  },
  objective: {
    takes: 'choice',
    choices: objectives,
    help: 'what is predicted: the next token (default), those that are masked, by an\nencoder, spans that a text lacks, by an encoder–decoder, or classes',
  },
  'mask-share': {
    takes: 'number',
    value: 'R',
    range: [0.001, 0.9],
    help: 'of the tokens that are masked; default 0.15',
  },
  'mask-span': {
    takes: 'number',
    value: 'N',
    range: [1, 1e6],
    help: `mean length of the spans that are masked; default ${MASKING.span}`,
  },
  'mask-words': { takes: 'nothing', help: 'mask whole words instead, of a text in bytes' },
  ...labelOptions,
  kind: { takes: 'choice', choices: kinds, help: 'of the model; default decoder, or what the objective is for' },
  mechanism: { takes: 'text', value: MECHANISM, help: 'attention; default flash. See subquad mechanisms' },
  set: setOption,
  'feed-forward': {
    takes: 'words',
    value: `${MECHANISM},…`,
    default: [],
    help: 'default dense; several take turns from layer to layer.\nSee subquad mechanisms',
  },
  plugin: pluginOption,
  position: { takes: 'choice', choices: positionNames, help: 'default rope' },
  length: count('tokens of a window', longestLength),
  layers: count('layers', 1024),
  width: count('size of the stream between the layers'),
  heads: count('heads of attention', 1024),
  dropout: { takes: 'number', value: 'R', range: [0, 0.99], help: 'rate of dropout; default 0' },
  residual: { takes: 'choice', choices: residualKinds, help: 'reversible and checkpointed save memory; default plain' },
  precision: { takes: 'choice', choices: precisions, help: 'of what is kept for the backward pass; default f32' },
  'memory-limit': { takes: 'text', value: 'BYTES', help: 'what a step may hold, such as 8GB or 500MB' },
  validation: { takes: 'number', value: 'SHARE', range: [0, 0.9], help: 'kept at the end of the text; default 0.1' },
  tokeniser: { takes: 'text', value: 'FILE.json', help: 'a Hugging Face tokenizer.json; default: a token is a byte' },
  batch: count('windows of a pass; default 8'),
  accumulate: count('passes whose gradients make one step; default 1'),
  steps: count('steps in all', 2 ** 31 - 1),
  minutes: {
    takes: 'number',
    value: 'M',
    range: [0.01, 1e6],
    help: `instead of steps: the first are timed, which fixes\ntheir number; default ${DEFAULT_MINUTES}`,
  },
  optimiser: { takes: 'choice', choices: optimiserNames, help: 'default adamW' },
  rate: { takes: 'number', value: 'R', range: [1e-9, 1000], help: 'highest learning rate; default by the optimiser' },
  'warm-up': {
    takes: 'integer',
    value: 'N',
    range: [0, 2 ** 31 - 1],
    help: 'steps to that rate; default 50, or a tenth',
  },
  schedule: { takes: 'choice', choices: schedules, help: 'after the warm-up; default cosine' },
  clip: { takes: 'number', value: 'NORM', range: [0, 1e9], help: 'largest norm of gradients; 0: none; default 1' },
  seed: {
    takes: 'integer',
    value: 'N',
    range: [0, 2 ** 31 - 1],
    help: 'of weights, order of windows and dropout; default 0',
  },
  'evaluate-every': count('steps between evaluations; default a twentieth of all', 2 ** 31 - 1),
  'save-every': count('steps between saves; default: about a minute', 2 ** 31 - 1),
  patience: { takes: 'integer', value: 'N', range: [0, 1e6], help: 'stop after N evaluations without improvement' },
  from: {
    takes: 'text',
    value: 'MODEL',
    help: 'begin with the weights of a run, a .safetensors file or a published model, where they fit; of a\npublished model, sizes and tokenizer are then the default',
  },
  lora: {
    takes: 'words',
    value: 'rank=R',
    default: [],
    help: 'train adapters of rank R beside the weights of --from, which stay as\nthey are: rank=8,alpha=16,on=qkv,out; at the end they are in\nFOLDER/adapters',
  },
  out: { takes: 'text', value: 'FOLDER', help: 'where the run goes; default subquad-run' },
  resume: { takes: 'text', value: 'FOLDER', help: 'go on with the run in FOLDER, to the same bits' },
  export: { takes: 'text', value: 'FILE.safetensors', help: 'write the best weights there at the end, as f16' },
  device: deviceOption,
  threads: threadsOption,
  json: { ...jsonOption, help: 'write the result to FILE, or else to stdout instead' },
} as const satisfies Options;

type Section = Record<string, unknown>;

export interface Asked {
  readonly config: TrainConfig;
  readonly folder: string;
  readonly resume: boolean;
}

/** What the command line asks for: the flags over the file, over the preset; or over the run that is resumed. */
export function readAsked(who: string, values: Values<typeof options>, texts: readonly string[], io: Io): Asked {
  if (values.resume !== undefined) {
    const named = (['config', 'preset', 'from', 'out'] as const).filter((name) => values[name] !== undefined);
    const alone = [...named, ...(values.lora.length > 0 ? ['lora'] : [])];
    if (alone.length > 0) {
      throw new UsageError(`${who}: --resume takes all from its folder; leave out --${alone.join(' and --')}.`);
    }
  }
  if (values.lora.length > 0 && values.from === undefined && values.config === undefined) {
    throw new UsageError(`${who}: --lora trains adapters beside the weights of a model; name it with --from.`);
  }
  const folder = resolve(io.cwd, values.resume ?? values.out ?? 'subquad-run');
  const resume = values.resume !== undefined;
  if (!resume && existsSync(resolve(folder, CONFIG))) {
    const named = values.out ?? 'subquad-run';
    throw new FailureError(
      `${who}: "${named}" holds a run already; go on with --resume ${named}, or name another --out.`,
    );
  }
  return {
    config: readWanted(who, values, texts, io, resume ? resumed(who, folder, values) : undefined),
    folder,
    resume,
  };
}

/** A configuration by the flags over `base`, by default the file over the preset. */
export function readWanted(
  who: string,
  values: Values<typeof options>,
  texts: readonly string[],
  io: Io,
  base: Section = beginning(values, io),
): TrainConfig {
  const sections = { model: sectionOf(base, 'model'), data: sectionOf(base, 'data'), train: sectionOf(base, 'train') };
  const data: Section = { ...sections.data, ...dataFlags(who, values, texts, io) };
  const tokeniser = data['tokeniser'];
  const objective = objectiveFlags(who, values, base['objective'], io);
  const tokens = typeof tokeniser === 'string' ? vocabularyOf(resolve(io.cwd, tokeniser)) : undefined;
  const modelOptions = modelFlags(who, values, sections.model);
  const { length = 256 } = { ...sections.model, ...modelOptions } as { readonly length?: number };
  const vocabulary = tokens && tokens + specialTokens(readObjective(objective, []), length);
  return readTrainConfig({
    ...base,
    objective,
    model: { ...given({ vocabulary }), ...sections.model, ...modelOptions },
    data,
    train: {
      ...sections.train,
      ...trainFlags(values),
      ...given({ from: values.from && resolve(io.cwd, values.from) }),
    },
  });
}

function resumed(who: string, folder: string, { minutes }: Values<typeof options>): Section {
  const config = configOf(folder);
  const { steps } = config.train;
  if (minutes === undefined || steps === null) return { ...config };
  throw new UsageError(
    `${who}: the first steps were timed, which fixed their number at ${steps}; change it with --steps.`,
  );
}

function beginning(values: Values<typeof options>, io: Io): Section {
  const file: Section = values.config === undefined ? {} : { ...readJson(resolve(io.cwd, values.config)) };
  const from = values.from && resolve(io.cwd, values.from);
  if (from && values.config === undefined && values.preset === undefined && isPublished(from)) {
    return likeFrom(from, values.tokeniser);
  }
  if (from && values.lora.length > 0 && values.config === undefined && values.preset === undefined) {
    return { model: { ...readModelJson(from).config } };
  }
  const { model, objective }: Preset = presetOf(values.preset ?? 'tiny');
  return { ...(objective && { objective }), ...file, model: { ...model, ...sectionOf(file, 'model') } };
}

/**
 * The sizes and tokens of a published model, for a run that begins with its weights. @throws OptionError where neither the model nor the user
 * has a tokenizer.
 */
function likeFrom(path: string, named: string | undefined): Section {
  const { config, json } = readPublished(path);
  const tokeniser = named ?? tokeniserOf(json, path);
  const { head: _, ...model } = config;
  // what hides a token is one beyond those that are predicted
  const masked = config.kind === 'encoder';
  return {
    model: masked ? { ...model, vocabulary: config.vocabulary + 1, outputs: config.vocabulary } : model,
    ...(masked && { objective: { name: 'masked' } }),
    data: given({ tokeniser: tokeniser ?? undefined }),
  };
}

/** A section that is none is left for the configuration's own check. */
function sectionOf(base: Section, name: string): Section {
  const value = base[name] ?? {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Section;
  throw new UsageError(`training: section ${name} must be an object; got ${JSON.stringify(value)}.`);
}

const given = (flags: Section): Section =>
  Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));

function modelFlags(who: string, values: Values<typeof options>, section: Section): Section {
  const { kind, length, layers, width, heads, dropout, position, residual } = values;
  if (layers !== undefined && Array.isArray(section['layers'])) {
    const listed = section['layers'].length;
    throw new UsageError(
      `${who}: --layers: the ${listed} layers are listed one by one; leave it out, or list others in a --config.`,
    );
  }
  return given({
    kind,
    length,
    layers,
    width,
    heads,
    dropout,
    position: position && { method: position },
    residual: residual && { kind: residual },
    mechanism: mechanismFlag(who, values, section['mechanism']),
    ...feedForwardFlag(who, values['feed-forward'], section),
    lora: loraFlag(who, values.lora),
  });
}

/** `rank=8`, `alpha=16`, `on=qkv` and further names. */
function loraFlag(who: string, words: readonly string[] = []): Section | undefined {
  if (words.length === 0) return undefined;
  const numbers: Record<string, number> = {};
  const on: string[] = [];
  const wrong = words.filter((word) => {
    const [, name, value] = /^(rank|alpha|on)=(.+)$/.exec(word) ?? [];
    if (name === 'on') on.push(value!);
    else if (name !== undefined) numbers[name] = Number(value);
    // names after the first
    else if (on.length > 0 && /^\w+$/.test(word)) on.push(word);
    else return true;
    return false;
  });
  if (wrong.length === 0 && numbers['rank'] !== undefined) return { ...numbers, ...(on.length > 0 && { on }) };
  throw new UsageError(
    `${who}: --lora takes rank=R, alpha=A and on=NAME,NAME, such as rank=8,alpha=16,on=qkv,out; got ${words.join(',')}.`,
  );
}

/** One for all layers, or several that take turns. */
function feedForwardFlag(who: string, words: readonly string[], section: Section): Section {
  if (words.length === 0) return {};
  const chosen = readFeedForwards(who, words);
  const before = section['feedForward'];
  const sizes = typeof before === 'object' ? { ...before, plugin: undefined } : {};
  const listed = (['pattern', 'schedules'] as const).filter((name) => section[name] !== undefined);
  if (chosen.length > 1 && listed.length > 0) {
    throw new UsageError(
      `${who}: --feed-forward: the configuration has a ${listed[0]} of its own; name the layers there.`,
    );
  }
  return chosen.length === 1
    ? { feedForward: given({ ...sizes, ...chosen[0] }) }
    : { pattern: chosen.map((feedForward) => ({ feedForward })) };
}

/** Of commands that have none of these options. */
const noLabels = {
  'drop-words': [],
  images: [],
  labels: [],
  'validation-on': [],
  'validation-images': [],
  'validation-labels': [],
};

/** What the flags make of an objective, which another name begins anew. */
function objectiveFlags(who: string, values: Values<typeof options>, before: unknown, io: Io): unknown {
  const { objective, 'mask-share': share, 'mask-span': span, 'mask-words': words } = values;
  const own = typeof before === 'string' ? { name: before } : (Object(before) as Section);
  const labels = labelFlags(who, { ...noLabels, ...values }, objective ?? own['name'], io);
  const flags = given({ name: objective, share, span, words: words || undefined, ...labels });
  if (Object.keys(flags).length === 0) return before;
  const masks = (['mask-share', 'mask-span', 'mask-words'] as const).filter((name) => values[name]);
  const ofSpans = (objective ?? own['name']) === 'spans' && !masks.includes('mask-words');
  if (masks.length > 0 && !ofSpans && (objective ?? own['name']) !== 'masked') {
    throw new UsageError(`${who}: --${masks.join(' and --')} is for --objective masked; leave it out, or take that.`);
  }
  return { ...(objective === undefined || own['name'] === objective ? own : {}), ...flags };
}

function mechanismFlag(who: string, values: Values<typeof options>, before: unknown): Section | undefined {
  if (values.mechanism === undefined && values.set.length === 0) return undefined;
  const known = (typeof before === 'string' ? { name: before } : (before ?? {})) as {
    name?: unknown;
    options?: Section;
  };
  const own = known.name ?? 'flash';
  const word = values.mechanism ?? (typeof own === 'string' ? own : describe(own));
  const { mechanism, options } = chooseMechanism(who, word, values.set);
  return { name: mechanism.name, options: { ...(own === mechanism.name && known.options), ...options } };
}

function dataFlags(who: string, values: Values<typeof options>, texts: readonly string[], io: Io): Section {
  const { validation, tokeniser } = values;
  const places = texts.map((path) => textPath(path, io));
  const once = texts.filter((_, i) => existsSync(places[i]!) && isStream(places[i]!));
  if (once.length > 0) {
    throw new UsageError(
      `${who}: ${once.map((path) => `"${path}"`).join(', ')} can be read once only, and a run that goes on reads its text again; ` +
        'write it to a file, and name that.',
    );
  }
  return given({
    validation,
    tokeniser: tokeniser && resolve(io.cwd, tokeniser),
    texts: texts.length === 0 ? undefined : places,
  });
}

function trainFlags(values: Values<typeof options>): Section {
  const { batch, accumulate, steps, minutes, optimiser, rate, schedule, clip, precision, seed, patience } = values;
  const limits =
    steps === undefined ? (minutes === undefined ? {} : { minutes, steps: null }) : { steps, minutes: minutes ?? null };
  return {
    ...given({
      batch,
      accumulate,
      rate,
      schedule,
      clip,
      precision,
      seed,
      patience,
      warmUp: values['warm-up'],
      evaluateEvery: values['evaluate-every'],
      saveEvery: values['save-every'],
      optimiser: optimiser && { name: optimiser },
    }),
    ...limits,
  };
}
