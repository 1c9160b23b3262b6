import { describe } from '../core/describe.js';
import {
  callable,
  flag,
  oneOf,
  reasonsAgainst,
  text,
  type Requirement,
  type Requirements,
} from '../core/requirements.js';
import { commonOptions } from './call.js';
import { type AttentionDefinition, exactnesses, families } from './definition.js';
import { optionTypes } from './options.js';

const object: Requirement = {
  must: 'an object',
  holds: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

const definition: Requirements = {
  name: { must: 'lower case with hyphens', holds: (x) => typeof x === 'string' && /^[a-z][a-z0-9-]*$/.test(x) },
  family: oneOf(families),
  level: oneOf(['attention', 'mixer']),
  summary: text,
  paper: object,
  formula: text,
  complexity: text,
  exactness: oneOf(exactnesses),
  relativeToPaper: text,
  options: object,
  supports: object,
  parameters: callable,
  inputs: object,
  readsInputs: callable,
  pattern: callable,
  reach: callable,
  refuse: callable,
  cost: callable,
  choices: callable,
  forward: callable,
  takesHalves: flag,
  recurrence: object,
};
const required = ['name', 'family', 'summary', 'paper', 'formula', 'complexity', 'exactness', 'options'];

const supports: Requirements = {
  causal: oneOf([true, false, 'only']),
  cross: flag,
  padding: flag,
  score: flag,
  mask: flag,
  globalTokens: flag,
  groupedHeads: flag,
  decode: oneOf([false, 'cache', 'recurrent']),
};
const paper: Requirements = {
  authors: text,
  title: text,
  year: { must: 'a year', holds: Number.isInteger },
  arxiv: text,
};

/** Why something is no definition, a sentence each: it may come from a file that no compiler has seen. */
export function definitionFaults(given: AttentionDefinition): readonly string[] {
  const whole = reasonsAgainst(given, definition, [...required, 'supports', 'cost']);
  if (whole.length > 0) return whole;
  const parts = [
    ...describedFaults(given),
    ...within(
      'supports',
      reasonsAgainst(
        given.supports,
        supports,
        Object.keys(supports).filter((name) => name !== 'mask' && name !== 'globalTokens'),
      ),
    ),
    ...within('inputs', inputFaults(given.inputs)),
    ...within('recurrence', given.recurrence ? reasonsAgainst(given.recurrence, { step: callable }, ['step']) : []),
  ];
  return parts.length > 0 ? parts : contradictions(given);
}

/** The same of what every definition has. */
export const describedFaults = (given: Pick<AttentionDefinition, 'paper' | 'options'>): readonly string[] => [
  ...within('paper', reasonsAgainst(given.paper, paper, ['authors', 'title', 'year'])),
  ...Object.entries(given.options).flatMap(([name, spec]) => within(`option ${name}`, optionFaults(spec))),
];

const within = (part: string, reasons: readonly string[]): string[] => reasons.map((reason) => `${part}: ${reason}`);

const inputFaults = (inputs: AttentionDefinition['inputs'] = {}): readonly string[] =>
  Object.entries(inputs)
    .filter(([, of]) => !['q', 'k', 'v'].includes(of))
    .map(([name, of]) => `${name} must be "q", "k" or "v"; got ${describe(of)}`);

function optionFaults(spec: unknown): readonly string[] {
  if (!object.holds(spec)) return ['make it with integer, number, integers, flag or choice'];
  const { type, help, default: standard } = spec as Readonly<Record<string, unknown>>;
  return [
    ...reasonsAgainst({ type, help }, { type: oneOf(optionTypes), help: text }, ['type', 'help']),
    ...(standard === undefined ? ['default is missing'] : []),
  ];
}

function contradictions({
  options,
  supports: { causal, decode },
  recurrence,
  parameters,
  forward,
  pattern,
}: AttentionDefinition): string[] {
  return [
    ...Object.keys(options).map((key) => commonOptions.includes(key) && `option ${key} is one of every call`),
    forward === undefined && pattern === undefined && 'it needs forward or pattern',
    forward === undefined && parameters !== undefined && 'parameters need a forward that uses them',
    (decode === 'recurrent') !== (recurrence !== undefined) && 'decode "recurrent" and recurrence go together',
    decode !== false && causal === false && 'decoding needs causal attention',
  ].filter((fault) => fault !== false);
}
