import { callable, checkValue } from '../core/requirements.js';
import { recordDecisions, repeatDecisions } from './decisions.js';
import { checkLeaves } from './leaves.js';
import { disposeAll, scope } from './scope.js';
import { arrivals, noGradient, operation, records, withGradient } from './tape.js';
import { checkTensors, share, trackLeaf, type Tensor } from './tensor.js';

/**
 * `f(...inputs)` that keeps nothing for the backward pass but the inputs: the backward pass computes `f` again, then its gradients.
 * `f` must give the same results both times, and must not read tensors that require gradients unless they are among the
 * inputs: the backward pass refuses that. What is `decided` in it is decided once. (Chen et al. 2016, "Training Deep Nets with
 * Sublinear Memory Cost", arXiv:1604.06174.)
 *
 * Beside the inputs, memory is that of one forward pass while it runs, and of one forward and backward pass in the sweep.
 */
export function recompute(f: (...inputs: Tensor[]) => readonly Tensor[], inputs: readonly Tensor[]): readonly Tensor[] {
  checkValue('recompute', 'f', f, callable);
  checkTensors('recompute', 'inputs', inputs);
  if (!records(inputs)) return scope(() => outputsOf(f(...inputs)));
  // a result may be an input, or the same twice: each gets a history of its own
  const first = (): Tensor[] => scope(() => outputsOf(f(...inputs)).map((output) => share(output)));
  const { result: outputs, decisions } = scope(() => noGradient(() => recordDecisions(first)));
  const decided = decisions.flat();
  operation(
    'recompute',
    inputs,
    outputs,
    (cotangents, needs) => {
      const leaves = inputs.map((input, i) => {
        const leaf = share(input);
        if (needs[i]) trackLeaf(leaf);
        return leaf;
      });
      const again = withGradient(() => repeatDecisions(decisions, () => f(...leaves)));
      checkLeaves('recompute', again, leaves);
      const arrived = again.flatMap((output, i) => {
        const cotangent = cotangents[i];
        return cotangent !== undefined && output.requiresGradient ? [{ output, cotangent }] : [];
      });
      const found = arrivals(
        arrived.map(({ output }) => output),
        leaves.filter((_, i) => needs[i]),
        arrived.map(({ cotangent }) => cotangent),
        { release: true },
      );
      let next = 0;
      return needs.map((need) => (need ? found[next++] : undefined));
    },
    [...inputs, ...decided],
  );
  disposeAll(decided);
  return outputs;
}

function outputsOf(outputs: readonly Tensor[]): readonly Tensor[] {
  checkTensors('recompute', 'the results of f', outputs);
  return outputs;
}
