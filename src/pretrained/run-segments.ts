import type { RecurrentModel } from '../models/index.js';
import { cast, transpose } from '../ops/index.js';
import type { Tensor } from '../tensor/index.js';
import type { Outputs, RunCall } from './family.js';
import { integersOf } from './inputs.js';
import { contextOf, hiddenStates, needed, watched } from './run.js';

/** The second segment of a text, where a run is given two: results are then `seg1.…` and `seg2.…`. */
const SECOND = 'input_ids_seg2';

/**
 * Published results of a model with memory: beside those of any model `mems.i`, `[rows, B, width]`, what goes on to the next segment. With
 * `input_ids_seg2`, two segments of which the second sees the first. `last` is what is given beside `logits`.
 */
export function runSegments(call: RunCall, model: RecurrentModel): Outputs {
  const { inputs, device } = call;
  const more = contextOf(call, ['input_ids', SECOND]);
  const second = inputs[SECOND];
  const first = segmentOf(call, model, integersOf('input_ids', needed(inputs, 'input_ids'), device), {
    types: more.types,
  });
  if (second === undefined) return first.outputs;
  const next = segmentOf(call, model, integersOf(SECOND, second, device), { state: first.state });
  return { ...named('seg1', first.outputs), ...named('seg2', next.outputs) };
}

function segmentOf(
  call: RunCall,
  model: RecurrentModel,
  tokens: Tensor,
  options: Parameters<RecurrentModel['segment']>[1],
): { readonly outputs: Outputs; readonly state: ReturnType<RecurrentModel['segment']>['state'] } {
  const { result, seen } = watched(() => model.segment(tokens, options));
  const { hidden, state } = result;
  const memories = Object.entries(state).map(([name, rows]) => [
    name.replace('recent.', 'mems.'),
    transpose(rows, [1, 0, 2]),
  ]);
  return {
    state,
    outputs: {
      ...(call.cls.task === 'base'
        ? { last_hidden_state: hidden }
        : { logits: model.ends.logits(cast(hidden, 'f32')) }),
      ...hiddenStates(call, 'hidden_states', { seen, stack: 'stack', last: hidden }),
      ...Object.fromEntries(memories),
    },
  };
}

const named = (segment: string, outputs: Outputs): Outputs =>
  Object.fromEntries(Object.entries(outputs).map(([name, x]) => [`${segment}.${name}`, x]));
