import { isPlainObject as isObject } from '../core/describe.js';
import { CapabilityError, OptionError } from '../core/errors.js';
import { oneOf, reasonsAgainst, type Requirements } from '../core/requirements.js';
import { VOCABULARY } from '../data/index.js';
import { faultsOfMasking, maskedOf, MASKING, masking, type Masking } from '../data/masking.js';
import { CORRUPTION, corruption, spanPlan, type Corruption, type SpanPlan } from '../data/span-corruption.js';
import { checkNextToken } from '../models/create.js';
import { createModel, Transformer, type ModelConfig } from '../models/index.js';
import type { Json } from '../train/checkpoint/index.js';
import type { HostBatch, HostInput } from '../train/micro-batch.js';
import { CLASSIFICATION, classification, faultsOfClassification, type Classification } from './classification.js';

/** What a model is trained to predict: each next token, what a text hides or lacks, or the class of a text or image. */
export type Objective =
  | { readonly name: 'next' }
  | ({ readonly name: 'masked' } & Masking)
  | ({ readonly name: 'spans' } & Corruption)
  | ({ readonly name: 'classify' } & Classification);
export const objectives = ['next', 'masked', 'spans', 'classify'] as const satisfies readonly Objective['name'][];

type Given = Readonly<Record<string, unknown>>;
const options: Readonly<Record<Objective['name'], Requirements>> = {
  next: {},
  masked: masking,
  spans: corruption,
  classify: classification,
};

/** An objective from JSON, where its name may stand for it. What is wrong is added to the reasons. */
export function readObjective(given: unknown, reasons: string[]): Objective {
  const own = typeof given === 'string' ? { name: given } : (given ?? {});
  if (!isObject(own)) {
    reasons.push('objective must be a name, or an object such as { "name": "masked" }');
    return { name: 'next' };
  }
  const { name = 'next', ...others } = own;
  const rest = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null && value !== undefined));
  const unnamed = reasonsAgainst({ name }, { name: oneOf(objectives) }, [], 'objective');
  const wrong =
    unnamed.length > 0 ? unnamed : reasonsAgainst(rest, options[name as Objective['name']], [], 'objective');
  reasons.push(...wrong);
  if (wrong.length > 0 || name === 'next') return { name: 'next' };
  const add = (faults: readonly string[]): unknown => reasons.push(...faults.map((fault) => `objective: ${fault}`));
  if (name === 'classify') {
    const settings = { ...CLASSIFICATION, ...(rest as Partial<Classification>) };
    add(faultsOfClassification(settings));
    return { name, ...settings };
  }
  if (name === 'spans') return { name, ...CORRUPTION, ...(rest as Partial<Corruption>) };
  const settings = { ...MASKING, ...(rest as Partial<Masking>) };
  add(faultsOfMasking(settings));
  return { name: 'masked', ...settings };
}

/** Tokens of a model beyond those of the text: one that masks, or sentinels for the spans of a window. */
export const specialTokens = (objective: Objective, length: number): number =>
  objective.name === 'masked'
    ? 1
    : objective.name === 'spans'
      ? spanPlan(length, corruptionOf(objective)).sentinels
      : 0;

const corruptionOf = ({ share, span }: Corruption): Corruption => ({ share, span });

/** The sizes of a window of a text, and of what is made of it. */
export const planFor = (objective: Corruption, { length }: ModelConfig): SpanPlan =>
  spanPlan(length, corruptionOf(objective));

/** What the section `model` has by default. */
export function modelFor(objective: Objective, given: Given): Given {
  const { name } = objective;
  if (name === 'next') return given;
  if (name === 'classify') return { kind: 'encoder', ...given };
  const { length = 256 } = given;
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 2) return given;
  const { vocabulary = VOCABULARY + specialTokens(objective, length) } = given;
  if (name === 'spans') return { kind: 'encoder-decoder', vocabulary, ...given };
  return { kind: 'encoder', vocabulary, ...(typeof vocabulary === 'number' && { outputs: vocabulary - 1 }), ...given };
}

/** @throws CapabilityError or OptionError for a model that the objective is not for. */
export function checkObjective(objective: Objective, config: ModelConfig, tokeniser: string | null): void {
  if (objective.name === 'next') {
    if (config.kind === 'encoder') {
      throw new CapabilityError(
        'training: kind encoder sees the tokens that it would predict; take kind decoder, or objective masked or classify.',
      );
    }
    if (config.kind === 'encoder-decoder') {
      throw new CapabilityError(
        'training: kind encoder-decoder tells what a source lacks; take kind decoder, or objective spans.',
      );
    }
    return checkNextToken(config);
  }
  if (objective.name === 'classify') {
    if (config.kind === 'encoder' || config.kind === 'decoder') return;
    throw new CapabilityError(
      `training: objective classify is for kinds encoder and decoder; got kind ${config.kind}. Take one of them.`,
    );
  }
  if (objective.name === 'spans') {
    if (config.kind !== 'encoder-decoder') {
      throw new CapabilityError(
        `training: objective spans is for kind encoder-decoder; got kind ${config.kind}. Leave kind out, or take objective masked.`,
      );
    }
    const { targets } = planFor(objective, config);
    if (targets <= config.length) return;
    throw new OptionError(
      `training: objective spans asks for ${targets} tokens of a window, and the model has a length of ${config.length}; take a smaller share, or longer spans.`,
    );
  }
  const who = 'training: objective masked';
  if (config.kind !== 'encoder') {
    throw new CapabilityError(
      `${who} is for kind encoder, whose tokens see all others; got kind ${config.kind}. Leave kind out, or take objective next.`,
    );
  }
  const { vocabulary, outputs = vocabulary } = config;
  if (outputs >= vocabulary) {
    throw new OptionError(`${who} takes a mask token beyond those predicted; set model.vocabulary to ${outputs + 1}.`);
  }
  if (objective.words && tokeniser !== null) {
    throw new OptionError(`${who}: whole words are found in bytes; leave words out, or the tokeniser.`);
  }
  checkRows(who, config);
}

/** Rows that the layers give for a window. */
export function rowsOf(config: ModelConfig): number {
  const model = createModel(config);
  return model instanceof Transformer ? model.stack.rowsFor(config.length) : config.length;
}

/** @throws CapabilityError for layers that leave fewer rows than tokens. */
function checkRows(who: string, config: ModelConfig): void {
  const rows = rowsOf(config);
  if (rows === config.length) return;
  throw new CapabilityError(
    `${who} predicts tokens where they are, and the layers leave ${rows} rows of ${config.length}; add a layer that gives them back, such as token-fuser.`,
  );
}

/** What a model was trained for, as the JSON beside it says; of those that say nothing, the next token. */
export function objectiveOf(json: Readonly<Record<string, Json>>): Objective {
  const reasons: string[] = [];
  const found = readObjective(json['objective'], reasons);
  if (reasons.length > 0) throw new OptionError(`model: ${reasons.join('; ')}.`);
  return found;
}

/** A batch of the sizes that training has; undefined where the model's own are meant. */
export function rehearsalBatch(objective: Objective, config: ModelConfig, batchSize: number): HostBatch | undefined {
  const { length } = config;
  if (objective.name === 'next') return undefined;
  const ints = (columns: number): HostInput => ({
    data: new Int32Array(batchSize * columns),
    shape: [batchSize, columns],
  });
  if (objective.name === 'classify') {
    const classes = { data: new Int32Array(batchSize), shape: [batchSize] };
    return { inputs: { tokens: ints(length), targets: classes }, counted: batchSize };
  }
  if (objective.name === 'spans') {
    const { source, targets } = planFor(objective, config);
    return {
      inputs: { source: ints(source), tokens: ints(targets), targets: ints(targets) },
      counted: batchSize * targets,
    };
  }
  const few = maskedOf(length, objective.share);
  return { inputs: { tokens: ints(length), places: ints(few), targets: ints(few) }, counted: batchSize * few };
}

/** What is hidden of a window, and by which token, where that is not the first beyond those that are predicted. */
export type MaskingOf = Pick<Masking, 'share' | 'span' | 'words'> & { readonly maskToken?: number };

/** What an encoder was trained to find of a window; undefined where it was trained for something else. */
export function maskingFor(json: Readonly<Record<string, Json>>): MaskingOf | undefined {
  const objective = objectiveOf(json);
  if (objective.name !== 'masked') return undefined;
  const { share, span, words } = objective;
  const { maskToken } = json;
  return { share, span, words, ...(typeof maskToken === 'number' && { maskToken }) };
}
