import type { PenaltyOptions, SampleOptions } from '../models/index.js';
import type { Values } from './arguments.js';
import { UsageError } from './io.js';

/** How tokens are drawn, or the likeliest texts searched for. */
export const drawing = {
  temperature: {
    takes: 'number',
    value: 'T',
    range: [0, 100],
    help: '0 takes the likeliest token; default 0.8',
  },
  'top-k': { takes: 'integer', value: 'K', range: [0, 1_000_000], help: 'draw from the K likeliest; default 0: all' },
  'top-p': {
    takes: 'number',
    value: 'P',
    range: [1e-9, 1],
    help: 'draw from the likeliest that have probability P; default 1',
  },
  'min-p': {
    takes: 'number',
    value: 'P',
    range: [0, 1],
    help: "draw from those that have this share of the likeliest one's; default 0",
  },
  'repetition-penalty': {
    takes: 'number',
    value: 'X',
    range: [1e-3, 1000],
    help: 'divide positive logits of what is in the text by X, multiply\nothers; default 1',
  },
  'presence-penalty': {
    takes: 'number',
    value: 'X',
    range: [-1000, 1000],
    help: 'take X from logits of what was generated',
  },
  'frequency-penalty': { takes: 'number', value: 'X', range: [-1000, 1000], help: 'the same as often as it was' },
  stop: { takes: 'texts', value: 'TEXT', help: 'end before this; may be there several times' },
  beams: {
    takes: 'integer',
    value: 'N',
    range: [1, 1024],
    help: 'search for the likeliest text with N at a time, in place of drawing',
  },
  'length-penalty': {
    takes: 'number',
    value: 'P',
    range: [-10, 10],
    help: 'of beams: scores are divided by length^P; default 1',
  },
} as const;

type Drawing = Values<typeof drawing>;

/** The options of `generateRows` for these. */
export const drawnWith = (values: Drawing): SampleOptions & PenaltyOptions => ({
  temperature: values.temperature ?? 0.8,
  ...set({
    topK: values['top-k'],
    topP: values['top-p'],
    minP: values['min-p'],
    repetitionPenalty: values['repetition-penalty'],
    presencePenalty: values['presence-penalty'],
    frequencyPenalty: values['frequency-penalty'],
  }),
});

const set = <T extends object>(options: T): { [N in keyof T]?: Exclude<T[N], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;

/** @throws UsageError for what beams, or drawing, have no use for: it would go unheard. */
export function refuseMixed(who: string, values: Drawing & { readonly samples: number }): void {
  if (values.beams === undefined) {
    if (values['length-penalty'] === undefined) return;
    throw new UsageError(`${who}: --length-penalty is of --beams; add --beams, or leave it out.`);
  }
  const { stop, beams: _beams, 'length-penalty': _penalty, ...drawn } = values;
  const names = Object.keys(drawing) as (keyof typeof drawing)[];
  const given = names.filter((name) => name in drawn && drawn[name as keyof typeof drawn] !== undefined);
  const unheard = [...given, ...(stop.length > 0 ? ['stop'] : []), ...(values.samples > 1 ? ['samples'] : [])];
  if (unheard.length === 0) return;
  throw new UsageError(
    `${who}: --beams searches for the likeliest text and draws nothing; leave ${unheard.map((name) => `--${name}`).join(', ')} out.`,
  );
}
