import type { WeightRule } from '../nn/index.js';
import { chain, joined, reshaped, transposed } from '../nn/index.js';
import type { Transformer } from '../models/index.js';
import { add, cast, mul, reshape, softmax, sum } from '../ops/index.js';
import type { Tensor } from '../tensor/index.js';
import type { Outputs, RunCall } from './family.js';
import { integersOf, paddingOf } from './inputs.js';
import { contextOf, hiddenStates, needed, watched, type Seen } from './run.js';

/** Experts that the file has one by one, `[out, in]` each, `name` with `{e}` for the number: one of ours, `[E, in, out]`. */
export function expertsRule(
  name: string,
  ours: string,
  sizes: { readonly experts: number; readonly inputs: number; readonly outputs: number },
): WeightRule {
  const { experts, inputs, outputs } = sizes;
  const each = Array.from({ length: experts }, (_, e) => name.replace('{e}', String(e)));
  const extents = each.map(() => inputs);
  return [
    each,
    ours,
    chain(transposed, joined(0, extents), reshaped([experts * inputs, outputs], [experts, inputs, outputs])),
  ];
}

/**
 * Results of a decoder with experts: beside the usual ones `router.layers.i.logits`, `.experts` and `.weights`, rows = batch × position, and
 * `aux_loss`: `E·Σ_e f_e·P_e`, f_e the choices of expert e per token and P_e its mean probability, both over the tokens of all layers
 * together. (Fedus et al. 2021, arXiv 2101.03961, equation 4, which has a loss of each layer.)
 */
export function runExperts(call: RunCall): Outputs {
  const { inputs, device, cls } = call;
  const model = call.model as Transformer;
  const more = contextOf(call, ['input_ids', 'attention_mask']);
  const tokens = integersOf('input_ids', needed(inputs, 'input_ids'), device);
  const context = { ...paddingOf('attention_mask', inputs['attention_mask']), ...more };
  const { result, seen } = watched(() => model.hidden(tokens, context));
  return {
    ...(cls.task === 'base' ? { last_hidden_state: result } : { logits: model.ends.logits(cast(result, 'f32')) }),
    ...hiddenStates(call, 'hidden_states', { seen, stack: 'stack', last: result }),
    ...routersOf(seen),
  };
}

function routersOf(seen: readonly Seen[]): Outputs {
  const form = /^stack\.layers\.(\d+)\.feedForward\.router\.(\w+)$/;
  const layers = new Map<number, Record<string, Tensor>>();
  for (const { path, output } of seen) {
    const found = form.exec(path);
    if (found === null) continue;
    const layer = Number(found[1]);
    layers.set(layer, { ...layers.get(layer), [found[2]!]: output });
  }
  const outputs: Record<string, Tensor> = {};
  const shares: Tensor[] = [];
  const chances: Tensor[] = [];
  for (const [i, { logits, indices, weights, chosen }] of layers) {
    const [E, k] = [logits!.shape.at(-1)!, indices!.shape.at(-1)!];
    const rows = logits!.size / E;
    const flat = reshape(logits!, [rows, E]);
    outputs[`router.layers.${i}.logits`] = flat;
    outputs[`router.layers.${i}.experts`] = reshape(indices!, [rows, k]);
    outputs[`router.layers.${i}.weights`] = weights!;
    const mean = 1 / (rows * layers.size);
    shares.push(mul(sum(chosen!, { axes: 0 }), mean));
    chances.push(mul(sum(softmax(flat), { axes: 0 }), mean));
  }
  if (shares.length === 0) return outputs;
  const total = (all: readonly Tensor[]): Tensor => all.reduce((sums, one) => add(sums, one));
  const E = shares[0]!.size;
  return { ...outputs, aux_loss: mul(sum(mul(total(shares), total(chances))), E) };
}
