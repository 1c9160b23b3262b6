import type { FloatDtype } from '../core/dtype.js';
import { callable } from '../core/requirements.js';
import type { Mask } from '../masks/index.js';
import { zeros } from '../tensor/create.js';
import { scope } from '../tensor/scope.js';
import { operation } from '../tensor/tape.js';
import { commonDevice, share, someTensor, Tensor } from '../tensor/tensor.js';
import { checkDistinct, checkOrder, timesListed } from './attend-gathered/order.js';
import { scoreOf, type GatheredScore } from './attend-gathered/rule.js';
import { backward } from './attend/backward.js';
import { prepare } from './attend/call.js';
import { attendOptions, checkAttend, type Checked } from './attend/check.js';
import { counted } from './attend/counters.js';
import { forward } from './attend/forward.js';
import type { PartialAttention } from './attend/merge.js';
import type { Attended, Dropout } from './attend/options.js';
import { planAttend, type AttendPlan } from './attend/plan.js';
import type { AttendInputs } from './attend/sizes.js';
import { where } from './arithmetic.js';
import { inFull, stored, widened } from './cast.js';
import { addRows, pickRows } from './gather-rows.js';
import { broadcastTo, reshape } from './shape.js';

export type { GatheredPlace, GatheredScore } from './attend-gathered/rule.js';

const who = 'attendGathered';

const requirements = { ...attendOptions, queryOrder: someTensor, keyOrder: someTensor, score: callable };

export interface GatheredOptions {
  /** Which row of q is at each place, `[B, H, L′]` i32, each row at most once; default all in order. */
  readonly queryOrder?: Tensor;
  /** Which row of k and v is at each place, `[B, G, S′]` or `[B, H, S′]` i32; rows may repeat. Default all in order. */
  readonly keyOrder?: Tensor;
  /** Which places may see each other; tiles it empties are skipped. Its q and k count places. */
  readonly mask?: Mask;
  /** A change of the scaled scores by places and original positions, which may read tensors; −∞ hides a pair. */
  readonly score?: GatheredScore;
  /** Hides keys whose original position is after the query's: j > i + S − L. Default false. */
  readonly causal?: boolean;
  /** Factor of q·k; default 1/√D. */
  readonly scale?: number;
  /** As in `attend`; which weights are dropped depends on the seed and the places. */
  readonly dropout?: Dropout;
}

/**
 * Attention among rows picked by lists that only the device has, such as those of `argsort`: row by row
 * `softmax over the visible keys of score(scale · q[queryOrder]·k[keyOrder])` times `v[keyOrder]`.
 *
 * `q` `[B,H,L,D]`, `k` `[B,G,S,D]`, `v` `[B,G,S,E]` → `out` `[B,H,L,E]`, `logsumexp` `[B,H,L]` in the original order of the queries; a
 * query that is not listed, or sees no key, gives 0 and −∞. So the results of several lists go into `mergeAttention`.
 * Which pairs are visible is given twice: `mask` over places decides on the host which tiles are visited at all, and `score`
 * and `causal` hide pairs on the device by the positions that the lists hold.
 *
 * Differentiable in q, k, v, `logsumexp` and the float tensors that `score` reads. Gathered rows live during a pass only: what
 * is kept for the gradient are inputs, outputs, lists and the map of tiles. f16 and bf16 are treated as in `attend`.
 *
 * @throws ShapeError, OptionError or CapabilityError naming what does not fit; for a query that is listed twice.
 *
 * @example
 * const order = argsort(sum(q, { axes: -1 }));
 * // neighbours in the order of their sums, 16 on each side, and none from the future
 * const near = within({ radius: 16 });
 * const { out } = attendGathered(q, k, v, { queryOrder: order, keyOrder: order, mask: near, causal: true });
 */
export function attendGathered(q: Tensor, k: Tensor, v: Tensor, options: GatheredOptions = {}): Attended {
  const { sizes, ...numbers } = checkAttend(who, { q, k, v }, options, requirements);
  const { score: rule, mask, causal = false, queryOrder: queries, keyOrder: keys } = options;
  const { B, H, G, L, S, D, E } = sizes;
  commonDevice(who, [q, ...[queries, keys].filter((order) => order instanceof Tensor)]);
  return scope(() => {
    const queryOrder = queries && checkOrder('queryOrder', queries, B, [H], L);
    if (queryOrder !== undefined) checkDistinct('queryOrder', queryOrder, L);
    const keyOrder = keys && checkOrder('keyOrder', keys, B, [G, H], S);
    const places = {
      B,
      H,
      G: keyOrder?.shape[1] ?? G,
      L: queryOrder?.shape[2] ?? L,
      S: keyOrder?.shape[2] ?? S,
    };
    const score = scoreOf({ queryOrder, keyOrder, causalShift: causal ? S - L : undefined, rule });
    const plan = planAttend(places, mask?.expression(places) ?? null, score?.expression(places), {
      D,
      E,
      dropout: numbers.dropout !== undefined,
      split: false,
    });
    const own = { q, k: withHeads(k, places.G), v: withHeads(v, places.G) };
    const { out, logsumexp } = onTape(plan, own, numbers, { queryOrder, keyOrder });
    return { out, logsumexp, counters: counted(plan, [q, k, v, out, logsumexp]) };
  });
}

/** Repeats the heads of keys or values, so that each query head has its own. */
function withHeads(x: Tensor, heads: number): Tensor {
  const [B, G, S, D] = x.shape as [number, number, number, number];
  if (G === heads) return x;
  return reshape(broadcastTo(reshape(x, [B, G, 1, S, D]), [B, G, heads / G, S, D]), [B, heads, S, D]);
}

interface Lists {
  readonly queryOrder: Tensor | undefined;
  readonly keyOrder: Tensor | undefined;
}

/** The backward pass gathers again, and widens halves again, so that nothing gathered or widened is kept. */
function onTape(
  plan: AttendPlan,
  { q, k, v }: AttendInputs,
  numbers: Omit<Checked, 'sizes'>,
  { queryOrder, keyOrder }: Lists,
): PartialAttention {
  const { inputs, learned, uploaded, pass } = prepare(who, plan, { q, k, v }, numbers);
  const sorted = (x: Tensor): Tensor => pick(x, queryOrder);
  const gathered = (): AttendInputs => inFull({ q: sorted(q), k: pick(k, keyOrder), v: pick(v, keyOrder) });
  const asGiven = (x: Tensor): Tensor => stored(x, q.dtype as FloatDtype);
  const values = scope(() => {
    const g = gathered();
    const { out, logsumexp } = forward(pass(g.v), g);
    if (queryOrder === undefined) return { out: asGiven(out), logsumexp };
    const L = q.shape[2]!;
    const placed = addRows(logsumexp, queryOrder, [...logsumexp.shape.slice(0, -1), L]);
    return {
      out: asGiven(addRows(out, queryOrder, [...out.shape.slice(0, 2), L, out.shape[3]!])),
      logsumexp: queryOrder.shape[2] === L ? placed : where(timesListed(queryOrder, L), placed, -Infinity),
    };
  });
  const { out, logsumexp } = values;
  operation(
    who,
    inputs,
    [out, logsumexp],
    ([dout, dlogsumexp], needs) => {
      const wanted = learned.filter((_, i) => needs[3 + i]);
      // what was gathered is freed before the gradients are put in place
      const { dq, dk, dv, dtables } = scope(() => {
        const g = gathered();
        const found = { out: widened(sorted(out)), logsumexp: sorted(logsumexp) };
        const cotangents = {
          dout: sorted(dout ?? zeros(out.shape, { device: q.device })),
          dlogsumexp: dlogsumexp && sorted(dlogsumexp),
        };
        return backward(pass(g.q, g.k, g.v, cotangents.dout), g, found, cotangents, wanted);
      });
      const back = (d: Tensor, order: Tensor | undefined, shape: readonly number[]): Tensor => {
        if (order === undefined) return d;
        const placed = addRows(d, order, shape);
        d.dispose();
        return placed;
      };
      return [
        back(dq, queryOrder, q.shape),
        back(dk, keyOrder, k.shape),
        back(dv, keyOrder, v.shape),
        ...learned.map((table) => dtables[wanted.indexOf(table)]),
      ];
    },
    [...inputs, ...[queryOrder, keyOrder].filter((order) => order !== undefined), ...uploaded, out, logsumexp],
  );
  return values;
}

const pick = (x: Tensor, order: Tensor | undefined): Tensor => (order === undefined ? share(x) : pickRows(x, order));
