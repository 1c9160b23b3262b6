import type { Values } from '../arguments.js';
import { deviceOption, longestLength, seedOption, threadsOption, jsonOption } from '../common-options.js';
import { UsageError } from '../io.js';
import { mechanismOptions } from './compare-mechanisms.js';

/** With the build before it, `npm start` then stays under 2 minutes. */
export const SECONDS = 100;
/** Bytes that each mechanism scores: for themselves, and beside times and errors. */
export const SCORED = 32768;
export const SCORED_BESIDE = 8192;

export const options = {
  task: {
    takes: 'choice',
    choices: ['attention', 'perplexity'],
    default: 'attention',
    help: 'attention: time, memory and error of a call;\nperplexity: bits per byte of a trained model with each mechanism swapped in',
  },
  lengths: {
    takes: 'integers',
    value: 'N,…',
    range: [1, longestLength],
    help: 'sequence lengths; one byte of the text is one position; default\n512,2048,16384, for perplexity the trained length',
  },
  seconds: {
    takes: 'integer',
    value: 'N',
    range: [1, 1_000_000],
    help: `begin no length that might end later; default ${SECONDS}, with --lengths none`,
  },
  ...mechanismOptions,
  causal: { takes: 'nothing', help: 'keys up to the query only; default this and all pairs, one after the other' },
  'all-pairs': { takes: 'nothing', help: 'all keys only' },
  adapt: {
    takes: 'integer',
    value: 'N',
    range: [1, 1_000_000],
    help: 'train the attention of the model for N steps with each mechanism, all else as it is,\nbefore its bits are counted',
  },
  training: { takes: 'nothing', help: 'forward and backward instead of forward alone' },
  features: {
    takes: 'choice',
    choices: ['model', 'text'],
    help: 'queries, keys and values of a trained model, or made from the text alone; default model',
  },
  model: {
    takes: 'text',
    value: 'PATH',
    help: 'folder of a training run, or NAME.safetensors; default the bundled models',
  },
  layer: { takes: 'integer', value: 'N', range: [1, 1024], help: 'of the model, from 1; default the middle one' },
  'layer-heads': { takes: 'integers', value: 'N,…', range: [1, 256], help: 'of that layer, from 1; default all' },
  heads: { takes: 'integer', value: 'N', range: [1, 256], help: 'attention heads of text features; default 4' },
  'head-dim': { takes: 'integer', value: 'N', range: [1, 256], help: 'size of a head of text features; default 64' },
  'max-bytes': {
    takes: 'integer',
    value: 'N',
    range: [1, 2 ** 40],
    help: `score so many at most with each mechanism in the model, evenly over the text;\ndefault ${SCORED_BESIDE}, for perplexity ${SCORED}`,
  },
  device: deviceOption,
  threads: threadsOption,
  seed: seedOption,
  memory: {
    takes: 'integer',
    value: 'GB',
    range: [1, 65536],
    help: "most memory that a mechanism may hold;\ndefault half of the machine's, less where less is free",
  },
  report: { takes: 'text', value: 'FILE.html', default: 'subquad-report.html', help: 'where the report goes' },
  json: { ...jsonOption, help: 'write all numbers to FILE, or else to stdout instead' },
} as const;

export type CompareValues = Values<typeof options>;

const ofModel = ['model', 'layer', 'layer-heads'] as const;
const ofText = ['heads', 'head-dim'] as const;
const ofAttention = [
  'seconds',
  'causal',
  'all-pairs',
  'adapt',
  'training',
  'features',
  'layer',
  'layer-heads',
  ...ofText,
  'memory',
] as const;

/** Refuses options that belong to another task, or to other features. @throws UsageError with every reason at once. */
export function checkCombination(who: string, values: CompareValues): void {
  const given = (names: readonly (keyof CompareValues)[]): string[] =>
    names.filter((name) => values[name] !== undefined && values[name] !== false).map((name) => `--${name}`);
  const reasons: string[] = [];
  const [model, text] = [given(ofModel), given(ofText)];
  if (values.task === 'perplexity') {
    const other = given(ofAttention);
    if (other.length > 0) reasons.push(`--task perplexity does not take ${other.join(', ')}`);
  } else {
    if (values.causal && values['all-pairs'])
      reasons.push('--causal and --all-pairs: both are the default; give one or none');
    const scored = given(['adapt', 'max-bytes']);
    if (scored.length > 0 && (values.features === 'text' || text.length > 0)) {
      reasons.push(`${scored.join(', ')}: features of a text have no model; leave them out`);
    }
    const chosen = values.features === 'model' ? ['--features model', ...model] : model;
    if (values.features === 'text' && model.length > 0) {
      reasons.push(`--features text does not take ${model.join(', ')}, which are for features of a model`);
    } else if (text.length > 0 && chosen.length > 0) {
      reasons.push(
        `${text.join(', ')} ${text.length > 1 ? 'are' : 'is'} for text features, a model has its own sizes; leave out either these or ${chosen.join(', ')}`,
      );
    }
  }
  if (reasons.length > 0) throw new UsageError(`${who}: ${reasons.join('; ')}.`);
}

/** Sizes of text features ask for them. */
export const wantsText = (values: CompareValues): boolean =>
  values.features === 'text' || ofText.some((name) => values[name] !== undefined);

export const wantsModel = (values: CompareValues): boolean =>
  values.features === 'model' || ofModel.some((name) => values[name] !== undefined);
