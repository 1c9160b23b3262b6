import type { NamedTensors } from '../../../attention/index.js';
import { div, logsumexp, map, mul, reshape, square, sub, sum } from '../../../ops/index.js';
import { noGradient, scope, type Tensor } from '../../../tensor/index.js';
import type { Groups } from './groups.js';
import type { Route } from './route.js';

export interface RouterLosses {
  /** Weight of the loss that spreads tokens over experts; 0: none. */
  readonly balance: number;
  /** Whether it counts all choices of a token, or the first alone. */
  readonly counts: 'first' | 'all';
  /** Weight of the loss that keeps router logits small; 0: none. */
  readonly zLoss: number;
}

/** Of rows `[G, S, …]`, those that are real. */
const ofReal = (x: Tensor, groups: Groups): Tensor => {
  const real = groups.real(x);
  return real ? mul(x, reshape(real, [groups.count, groups.size, ...x.shape.slice(2).map(() => 1)])) : x;
};

/**
 * - balance: `E·Σ_e f_e·P_e`, f the share of tokens whose choice is expert e before any is dropped, P the mean probability of e: of each group,
 *   and the mean over all tokens. It is 1 where both are uniform; gradients flow through P.
 * - z: the mean of `logsumexp(logits)²`.
 *
 * Each times its weight; padding does not count. (Fedus et al. 2021, arXiv 2101.03961, equation 4; Zoph et al. 2022, arXiv 2202.08906, equation 5.)
 */
export function lossesOf(
  logits: Tensor,
  routed: Route,
  groups: Groups,
  { balance, counts, zLoss }: RouterLosses,
): NamedTensors {
  const E = logits.shape[2]!;
  return {
    ...(balance > 0 && {
      balance: scope(() => {
        const shares = counts === 'first' ? routed.first : routed.chosen; // [G, E]
        const sums = sum(ofReal(routed.probabilities, groups), { axes: 1 });
        const sizes = reshape(
          groups.each(logits, (count) => Math.max(1, count)),
          [groups.count, 1],
        );
        return map((x) => x.mul((balance * E) / groups.total), sum(mul(div(shares, sizes), sums)));
      }),
    }),
    ...(zLoss > 0 && {
      routerZ: scope(() =>
        map((x) => x.mul(zLoss / groups.total), sum(ofReal(square(logsumexp(logits, { axes: -1 })), groups))),
      ),
    }),
  };
}

/** What a router does: the share of choices that each expert took, that of choices without room, and the mean entropy of its probabilities in nats. */
export const statisticsOf = ({ probabilities, chosen, taken }: Route, groups: Groups): NamedTensors =>
  noGradient(() =>
    scope(() => {
      const [all, kept] = [sum(chosen), sum(taken)];
      const surprise = mul(
        probabilities,
        map((p) => p.max(1e-30).log(), probabilities),
      );
      return {
        load: div(
          taken,
          map((x) => x.max(1), kept),
        ),
        dropped: div(sub(all, kept), all),
        entropy: map((x) => x.mul(-1 / groups.total), sum(ofReal(surprise, groups))),
      };
    }),
  );
