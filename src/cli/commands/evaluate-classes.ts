import type { ClassEvaluation } from '../../studies/evaluate-classes.js';
import * as format from '../../report/format.js';
import { confusionText } from '../confusion.js';
import type { Style } from '../ansi.js';

/** Accuracy, macro F1, and which class was taken for which. */
export function renderClasses(found: ClassEvaluation, style: Style): string {
  const { scores, examples, classes, loss, heldOut, cut, seconds, machine, config } = found;
  const error = Math.sqrt((scores.accuracy * (1 - scores.accuracy)) / examples);
  const rest = [
    `${format.count(examples, 'example')}${heldOut ? ', kept apart when it was trained' : ''}`,
    ...(cut > 0 ? [`${cut} cut to ${config.length} tokens`] : []),
    `${(loss / Math.LN2).toFixed(3)} bits an example`,
    format.milliseconds(1000 * seconds),
    format.place(machine.device),
  ];
  return (
    `${style.bold(`accuracy ${(100 * scores.accuracy).toFixed(2)} %`)} ± ${(100 * error).toFixed(2)}, macro F1 ${scores.macroF1.toFixed(4)}\n\n` +
    `${confusionText(classes, scores.matrix, style)}\n${style.dim(`± is one standard error. ${rest.join('; ')}.`)}\n`
  );
}
