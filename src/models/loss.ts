import { add, argmax, cast, concat, crossEntropy, div, split } from '../ops/index.js';
import { countTargets } from '../ops/count-targets.js';
import { recompute, type Module } from '../nn/index.js';
import { noGradient, scope, type Tensor } from '../tensor/index.js';

/** Targets that count for nothing. */
export const IGNORED = -100;

export interface TokenLossOptions {
  /** Logits of rows `[N, width]`: `[N, vocabulary]`. */
  readonly head: (rows: Tensor) => Tensor;
  /** Whose parameters `head` reads. */
  readonly modules: readonly Module[];
  /** Rows whose logits live at a time; 0: all. */
  readonly chunk: number;
  readonly reduction: 'mean' | 'none';
}

/**
 * Cross-entropy of the logits of `rows [N, width]`, f32, with `targets [N]`, in nats: the mean over targets that are not −100, or
 * one number each. In chunks, the logits of one chunk live at a time, and are computed again in the backward pass.
 */
export function tokenLoss(rows: Tensor, targets: Tensor, options: TokenLossOptions): Tensor {
  const { head, modules, chunk, reduction } = options;
  const whole = (x: Tensor, of: Tensor, how: 'mean' | 'sum' | 'none'): Tensor =>
    scope(() => crossEntropy(head(cast(x, 'f32')), of, { ignoreIndex: IGNORED, reduction: how }));
  const N = rows.shape[0]!;
  if (chunk === 0 || chunk >= N) return whole(rows, targets, reduction);
  return scope(() => {
    const extents = extentsOf(N, chunk);
    const targetParts = split(targets, extents);
    const how = reduction === 'mean' ? 'sum' : 'none';
    const losses = split(rows, extents).map((part, i) => {
      const [loss] = recompute(modules, (x, of) => [whole(x, of, how)], [part, targetParts[i]!]);
      part.dispose();
      return loss!;
    });
    if (reduction === 'none') return concat(losses);
    return div(
      losses.reduce((sum, loss) => add(sum, loss)),
      countTargets('tokenLoss', targets, IGNORED),
    );
  });
}

/** The token of the largest logit of each row, `[N]` i32, without gradient. */
export function likeliest(rows: Tensor, { head, chunk }: Pick<TokenLossOptions, 'head' | 'chunk'>): Tensor {
  const whole = (x: Tensor): Tensor => scope(() => argmax(head(cast(x, 'f32')), { axis: 1 }));
  const N = rows.shape[0]!;
  return noGradient(() =>
    scope(() => (chunk === 0 || chunk >= N ? whole(rows) : concat(split(rows, extentsOf(N, chunk)).map(whole)))),
  );
}

/** Rows of each chunk. */
const extentsOf = (rows: number, chunk: number): number[] =>
  Array.from({ length: Math.ceil(rows / chunk) }, (_, i) => Math.min(chunk, rows - i * chunk));
