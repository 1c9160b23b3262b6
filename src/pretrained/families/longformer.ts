import { OptionError } from '../../core/errors.js';
import { wholeFrom } from '../../core/requirements.js';
import {
  bertConfig,
  bertFields,
  bertRules,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
  paddedPositions,
  robertaHeads,
} from '../bert-like.js';
import { defineFamily, type RunCall } from '../family.js';
import { field } from '../fields.js';
import { globalsOf, typesOf, type HostArray } from '../inputs.js';
import { linear } from '../projections.js';
import { needed, runModel } from '../run.js';
import { layersAs } from '../windows.js';

const even = (window: unknown): boolean => wholeFrom(2).holds(window) && (window as number) % 2 === 0;

/** Windows of layers, both sides together. */
export const windowsField = field<number | readonly number[]>(
  {
    must: 'an even number of at least 2, or a list of them, one a layer',
    holds: (value) => (Array.isArray(value) ? value.length > 0 && value.every(even) : even(value)),
  },
  512,
);

/** The layers of an encoder with such windows, as JSON; global tokens are named by a call. @throws OptionError for too few windows. */
export function windowedLayers(windows: number | readonly number[], layers: number): object {
  const each = typeof windows === 'number' ? new Array<number>(layers).fill(windows) : windows;
  if (each.length !== layers) {
    throw new OptionError(`attention_window has ${each.length} entries, and there are ${layers} layers.`);
  }
  return layersAs(
    each.map((window) => ({ mechanism: { name: 'longformer', options: { radius: window / 2, globals: [] } } })),
  );
}

/** Projections of global tokens in a layer. */
export const globalRules = (theirs: string, ours: string) =>
  (['query', 'key', 'value'] as const).flatMap((of) =>
    linear(`${theirs}.${of}_global`, `${ours}.global${of[0] === 'q' ? 'Q' : of[0] === 'k' ? 'K' : 'V'}`),
  );

/** Where nobody names global tokens: the first of a text to be classified, and a question, up to its first separator. */
function withGlobals(call: RunCall): RunCall {
  const { inputs, cls, theirs } = call;
  if (inputs['global_attention_mask'] !== undefined || (cls.task !== 'classify' && cls.task !== 'answer')) return call;
  const { data, shape } = needed(inputs, 'input_ids');
  const length = shape[1] ?? 0;
  const separator = (theirs.sep_token_id as number | null) ?? 2;
  const ends = Array.from({ length: shape[0]! }, (_, b) => {
    if (cls.task === 'classify') return 1;
    const row = Array.from({ length }, (__, i) => data[b * length + i]!);
    const end = row.indexOf(separator);
    if (end >= 0) return end;
    throw new OptionError(
      `${cls.name}: row ${b} has no separator ${separator} behind its question; give it one, or global_attention_mask.`,
    );
  });
  const mask = Int32Array.from({ length: data.length }, (_, i) => Number(i % length < ends[Math.floor(i / length)]!));
  const globals: HostArray = { data: mask, shape };
  return { ...call, inputs: { ...inputs, global_attention_mask: globals } };
}

/** Windows of any even size: nothing is padded inside, and what is padded by the caller changes no other row. */
export const longformer = defineFamily({
  modelType: 'longformer',
  title: 'Longformer',
  paper: {
    authors: 'Beltagy, Peters, Cohan',
    title: 'Longformer: The Long-Document Transformer',
    year: 2020,
    arxiv: '2004.05150',
  },
  classes: encoderClasses('Longformer', { masked: 'lm_head.bias', sequence: 'classifier.out_proj.weight' }),
  prefix: 'longformer.',
  fields: { ...bertFields, attention_window: windowsField },
  config: (theirs, cls) => ({
    ...bertConfig(theirs, (theirs.pad_token_id ?? 1) + 1),
    ...paddedPositions(theirs),
    ...windowedLayers(theirs.attention_window, theirs.num_hidden_layers),
    attention: { zeroPadding: true },
    ...headConfig(theirs, cls, { dense: 'tanh' }),
  }),
  map: (theirs, cls) =>
    joinedMap(
      [
        ...bertRules(theirs, cls),
        ...globalRules(`${cls.prefix}encoder.layer.{i}.attention.self`, 'stack.layers.{i}.attention'),
      ],
      headMap(theirs, cls, robertaHeads(cls)),
    ),
  inputs: { token_type_ids: typesOf, global_attention_mask: globalsOf },
  run: (call) => runModel(withGlobals(call as RunCall)),
});
