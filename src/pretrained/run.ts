import { CapabilityError, OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import { checkValue, checkValues } from '../core/requirements.js';
import { lengths as lengthsMask } from '../masks/index.js';
import { Classifier, EncoderDecoder, Transformer } from '../models/index.js';
import type { Context } from '../nn/index.js';
import { observing } from '../nn/observe.js';
import { cast, reshape, slice, split } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, share, type Tensor } from '../tensor/index.js';
import type { Outputs, RunCall } from './family.js';
import { integersOf, someInputs, paddingOf, type Inputs } from './inputs.js';
import { somePretrained, type Pretrained } from './loaded.js';

export interface RunPretrainedOptions {
  /** Random numbers that the published code drew, by name, for a family that takes them. */
  readonly draws?: Inputs;
}

/**
 * The published results of a loaded model: `logits`, `last_hidden_state`, `hidden_states.0` (the embeddings) to
 * `hidden_states.N`; of an encoder–decoder `encoder_hidden_states.i`, `decoder_hidden_states.i`, `encoder_last_hidden_state`. Inputs are
 * named as in the published code. The caller disposes of the tensors; rows of padding hold numbers without meaning.
 *
 * @throws OptionError for an input that the model does not take, or that is missing; ShapeError for one of another shape.
 */
export function runPretrained(loaded: Pretrained, inputs: Inputs, options: RunPretrainedOptions = {}): Outputs {
  checkValue('runPretrained', 'loaded', loaded, somePretrained);
  checkValue('runPretrained', 'inputs', inputs, someInputs);
  checkValues('runPretrained', options, { draws: someInputs });
  const { draws = {} } = options;
  const { model, config, theirs, cls, family } = loaded;
  const { device } = [...model.stateDict().values()][0]!;
  const call: RunCall = { model, config, theirs, cls, inputs, draws, device, family };
  model.eval();
  return keep(scope(() => noGradient(() => (family.run ?? runModel)(call))));
}

/** Results of a model of this library as the published code names them. */
export function runModel(call: RunCall): Outputs {
  const { model } = call;
  if (model instanceof Transformer) return runTransformer(call, model);
  if (model instanceof EncoderDecoder) return runPair(call, model);
  if (model instanceof Classifier) return runClassifier(call, model);
  throw new CapabilityError(`pretrained: a model of kind ${call.config.kind} is run by its family, which has no run.`);
}

function runTransformer(call: RunCall, model: Transformer): Outputs {
  const { inputs, device, cls } = call;
  const more = contextOf(call, ['input_ids', 'attention_mask']);
  const tokens = integersOf('input_ids', needed(inputs, 'input_ids'), device);
  const context = { ...paddingOf('attention_mask', inputs['attention_mask']), ...more };
  const { result, seen } = watched(() => model.hidden(tokens, context));
  const hidden = hiddenStates(call, 'hidden_states', { seen, stack: 'stack', last: result });
  if (cls.task === 'base') return { last_hidden_state: result, ...hidden };
  return { logits: model.ends.logits(cast(result, 'f32')), ...hidden };
}

function runClassifier(call: RunCall, model: Classifier): Outputs {
  const { inputs, device, cls } = call;
  const more = contextOf(call, ['input_ids', 'attention_mask']);
  const tokens = integersOf('input_ids', needed(inputs, 'input_ids'), device);
  const padding = paddingOf('attention_mask', inputs['attention_mask']);
  const { result: rows, seen } = watched(() => model.hidden(tokens, { ...padding, ...more }));
  const hidden = hiddenStates(call, 'hidden_states', { seen, stack: 'stack', last: rows });
  const read = model.read(rows, padding);
  if (cls.task === 'base') return { last_hidden_state: rows, pooler_output: read, ...hidden };
  const logits = model.head!.forward(read);
  if (cls.task !== 'answer') return { logits, ...hidden };
  const [starts, stops] = split(logits, [1, 1], { axis: 2 }).map((one) => reshape(one, one.shape.slice(0, 2)));
  return { start_logits: starts!, end_logits: stops!, ...hidden };
}

/** How an encoder–decoder is run where it is not as most. */
export interface PairRun {
  /**
   * Whether rows of padding are computed too, as the published code does: then layers that count tokens, such as experts with room for so
   * many, count them. Default false: layers know which rows are real.
   */
  readonly counted?: boolean;
  /** Further results, of what layers gave on the way. */
  readonly more?: (seen: Readonly<Record<'encoder' | 'decoder', readonly Seen[]>>) => Outputs;
}

export function runPair(
  call: RunCall,
  model: EncoderDecoder,
  { counted = false, more: further }: PairRun = {},
): Outputs {
  const { inputs, device, cls } = call;
  const more = contextOf(call, ['input_ids', 'attention_mask', 'decoder_input_ids', 'decoder_attention_mask']);
  const source = integersOf('input_ids', needed(inputs, 'input_ids'), device);
  const tokens = integersOf('decoder_input_ids', needed(inputs, 'decoder_input_ids'), device);
  const ofSource = paddingOf('attention_mask', inputs['attention_mask']);
  if (ofSource.mask !== undefined) {
    throw new CapabilityError('pretrained: a source takes padding behind its tokens only.');
  }
  const { lengths } = ofSource;
  const padding = counted && lengths ? { mask: lengthsMask(lengths) } : ofSource;
  const encoded = watched(() => model.encode(source, { ...padding, ...more }));
  const decoded = watched(() =>
    model.decode(tokens, encoded.result, {
      ...paddingOf('decoder_attention_mask', inputs['decoder_attention_mask']),
      encodedLengths: ofSource.lengths,
    }),
  );
  return {
    ...(cls.task === 'base'
      ? { last_hidden_state: decoded.result }
      : { logits: model.ends.logits(cast(decoded.result, 'f32')) }),
    encoder_last_hidden_state: encoded.result,
    ...hiddenStates(call, 'encoder_hidden_states', { seen: encoded.seen, stack: 'encoder', last: encoded.result }),
    ...hiddenStates(call, 'decoder_hidden_states', { seen: decoded.seen, stack: 'decoder', last: decoded.result }),
    ...further?.({ encoder: encoded.seen, decoder: decoded.seen }),
  };
}

/** What the family's own inputs are to the layers. @throws OptionError for inputs that the model does not take; `own` are read elsewhere. */
export function contextOf(call: RunCall, own: readonly string[]): Context {
  const { inputs, cls, family } = call;
  const given = Object.keys(inputs).filter((name) => inputs[name] !== undefined && !own.includes(name));
  const { inputs: more = {} } = family;
  const strange = given.filter((name) => !Object.hasOwn(more, name));
  if (strange.length > 0) {
    throw new OptionError(`${cls.name}: ${unknown('input', strange, [...own, ...Object.keys(more)])}.`);
  }
  return Object.assign({}, ...given.map((name) => more[name]!(inputs[name]!, call))) as Context;
}

/** @throws OptionError for one that is not given. */
export function needed(inputs: Inputs, name: string): NonNullable<Inputs[string]> {
  const found = inputs[name];
  if (found === undefined) throw new OptionError(`pretrained: the input ${name} is missing.`);
  return found;
}

/** An output of a layer, by its path. */
export interface Seen {
  readonly path: string;
  readonly output: Tensor;
}

/** What `body` gives, and the outputs of embeddings, mixers and layers on the way, in their order. In the current scope. */
export function watched<T>(body: () => T): { readonly result: T; readonly seen: readonly Seen[] } {
  const kept: Seen[] = [];
  try {
    const result = observing((path, output) => kept.push({ path, output: keep(share(output)) }), body);
    // kept beyond the scopes of the layers, and now part of the current one
    return { result, seen: kept.map(({ path, output }) => ({ path, output: share(output) })) };
  } finally {
    disposeAll(kept);
  }
}

/** `name.0`, the embeddings, and `name.i`, the stream after layer i of a stack; the last after the norm at the end, where there is one. */
export function hiddenStates(
  { family, config }: Pick<RunCall, 'family' | 'config'>,
  name: string,
  of: { readonly seen: readonly Seen[]; readonly stack: string; readonly last?: Tensor },
): Outputs {
  const layer = new RegExp(`^${of.stack}\\.(layers\\.\\d+|restored)$`);
  // rows that stand before those of a text
  const { prefix = 0 } = (of.stack === 'decoder' ? undefined : config.embedding) ?? {};
  const outputs = of.seen
    .filter(({ path }) => path === 'ends' || layer.test(path))
    .map(({ path, output }) => (prefix > 0 && path !== 'ends' ? slice(output, { axis: 1, start: prefix }) : output));
  if (of.last !== undefined && family.lastHidden !== 'stream') outputs[outputs.length - 1] = of.last;
  return Object.fromEntries(outputs.map((output, i) => [`${name}.${i}`, output]));
}
