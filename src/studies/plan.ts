import type { DeviceLike } from '../devices/index.js';
import type { AnyOptions, AttentionShape, Exactness } from '../attention/index.js';
import { OptionError, OutOfMemoryError } from '../core/errors.js';
import { byHand, type ByHand } from './by-hand.js';
import { type Rates, secondsOf } from './calibrate.js';
import { foretell } from './foretell.js';
import type { Variant } from './mechanisms.js';
import { reachOf, type Reach } from './reach.js';

export interface PlanOptions {
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly layers: number;
  readonly batch: number;
  readonly causal: boolean;
  readonly training: boolean;
  /** Bytes that attention may take; undefined: no limit. */
  readonly memoryLimit: number | undefined;
  readonly exactness: readonly Exactness[];
  readonly variants: readonly Variant[];
  readonly seed: number;
  /** What this machine does in a second; undefined: times are not predicted. */
  readonly rates: Rates | undefined;
  readonly like: DeviceLike;
}

/** Attention of all layers. */
export interface PlanBytes {
  readonly parameters: number;
  /** Queries, keys, values and results: of every layer in training, of one otherwise. */
  readonly activations: number;
  /** Kept for the backward pass beside those, every layer. */
  readonly saved: number;
  /** Of one layer at a time. */
  readonly gradients: number;
  readonly workspace: number;
  readonly total: number;
}

export interface PlanRow {
  /** With its options: `sliding-window:radius=64`. */
  readonly mechanism: string;
  readonly level: 'attention' | 'mixer';
  readonly length: number;
  readonly exactness: Exactness;
  /** Multiply-adds that the formula needs, forward, all layers. */
  readonly multiplyAdds: number;
  readonly pairs: number | null;
  readonly bytes: PlanBytes;
  readonly seconds: number | null;
  readonly fits: boolean;
  readonly reach: Reach;
  /** Positions that were rehearsed: where these are fewer than asked, bytes and seconds are estimates extended from them. */
  readonly rehearsed: number;
}

export interface Plan {
  readonly options: Omit<PlanOptions, 'variants' | 'rates'>;
  readonly rows: readonly PlanRow[];
  readonly refused: readonly { readonly mechanism: string; readonly why: string }[];
  readonly recommended: { readonly mechanism: string; readonly why: string };
  readonly byHand: ByHand;
}

const order: readonly Exactness[] = ['exact', 'exact on its support', 'unbiased', 'biased', 'learned'];
/** A less exact mechanism is only recommended when it makes a whole layer this many times as fast. */
const worthwhile = 2;
/** What share of the text a row must know of, after all layers, to be recommended. */
const enough = 0.9;

/**
 * Does a row know of nearly the whole text, and not by a bottleneck alone? Rows that see fewer than √n tokens know of n in two layers
 * only if they all read the same few. Where the data decides what a row sees, nothing can be foretold.
 */
export const reachesText = ({ reach, length }: Pick<PlanRow, 'reach' | 'length'>): boolean =>
  (reach.share ?? 0) >= enough && reach.tokens ** 2 >= length;

/**
 * What attention will take, mechanism by mechanism, without running it: each is rehearsed on a device that only counts, and
 * times follow from the machine's measured rates.
 *
 * @throws OptionError with every reason when no mechanism can be used; OutOfMemoryError with what each would take when none fits.
 */
export function plan(options: PlanOptions): Plan {
  const { length, heads, headDim, batch } = options;
  const shape = { B: batch, H: heads, G: heads, L: length, S: length, D: headDim, E: headDim };
  const rows: PlanRow[] = [];
  const refused: { mechanism: string; why: string }[] = [];
  for (const variant of options.variants) {
    if (!options.exactness.includes(variant.mechanism.definition.exactness)) continue;
    try {
      rows.push(rowOf(variant, shape, options));
    } catch (error) {
      if (!(error instanceof Error) || error.name === 'Error') throw error;
      const prefix = `${variant.mechanism.name}: `;
      const why = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
      refused.push({ mechanism: variant.name, why });
    }
  }
  if (rows.length === 0) {
    const reasons = byReason(refused).map(({ names, why }) => `${names.join(', ')}: ${why}`);
    throw new OptionError(
      `plan: no mechanism can be used. ${reasons.join(' ') || 'None has the exactness asked for.'}`,
    );
  }
  if (!rows.some(({ fits }) => fits)) {
    const needs = [...rows].sort((a, b) => a.bytes.total - b.bytes.total);
    const list = needs.map((row) => `${row.mechanism} ${row.bytes.total}`).join(', ');
    throw new OutOfMemoryError(
      `plan: nothing fits into ${options.memoryLimit} bytes; needed are ${list}. ` +
        'Raise the limit, or shorten the length, the batch or the layers.',
    );
  }
  rows.sort(
    (a, b) => Number(reachesText(b)) - Number(reachesText(a)) || effort(a) - effort(b) || a.bytes.total - b.bytes.total,
  );
  const { variants: _, rates: __, ...asked } = options;
  return { options: asked, rows, refused, recommended: recommend(rows, beside(options)), byHand: byHand(options) };
}

/** Those that are refused for one reason together. */
export function byReason(refused: Plan['refused']): { readonly names: readonly string[]; readonly why: string }[] {
  const names = new Map<string, string[]>();
  for (const { mechanism, why } of refused) names.set(why, [...(names.get(why) ?? []), mechanism]);
  return [...names].map(([why, those]) => ({ names: those, why }));
}

/** Seconds where they are predicted, else multiply-adds. */
const effort = (row: PlanRow): number => row.seconds ?? row.multiplyAdds;

function rowOf({ name, mechanism, options: own }: Variant, shape: AttentionShape, options: PlanOptions): PlanRow {
  const { causal, training, layers, memoryLimit = Infinity, rates, like, seed } = options;
  const wanted = causal || mechanism.definition.supports.causal === 'only';
  const call: AnyOptions = { ...own, causal: wanted, seed };
  if (wanted !== causal) throw new OptionError(`${mechanism.name}: it has a causal form only; ask for --causal.`);
  const { taken, rehearsed } = foretell(mechanism, shape, call, { training, like });
  const kept = training ? layers : 1;
  // what one layer holds at its peak beside its tensors; not all gradients are there while everything saved still is
  const peak = training && layers > 1 ? taken.peakBesidePlans + taken.planBytes : taken.peakBytes;
  const rest = peak - taken.parameterBytes - taken.inputBytes - taken.outputBytes;
  const gradients = Math.min(taken.gradientBytes, rest - taken.savedBytes);
  const parts = {
    parameters: layers * taken.parameterBytes,
    activations: kept * (taken.inputBytes + taken.outputBytes),
    saved: kept * taken.savedBytes,
    gradients,
    workspace: rest - taken.savedBytes - gradients,
  };
  const total = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  const { multiplyAdds, pairs } = mechanism.cost(shape, call);
  return {
    mechanism: name,
    level: mechanism.definition.level ?? 'attention',
    length: options.length,
    exactness: mechanism.definition.exactness,
    multiplyAdds: layers * multiplyAdds,
    pairs: pairs ?? null,
    bytes: { ...parts, total },
    seconds: rates === undefined ? null : layers * secondsOf(taken.work, rates),
    fits: total <= memoryLimit,
    reach: reachOf(mechanism, shape, call, layers),
    rehearsed,
  };
}

/**
 * What projections and a feed-forward layer of the usual sizes take beside attention, in the units of `effort`: 12·width² multiply-adds
 * a token, three times as many in training. No substitute makes a layer faster than these.
 */
function beside({ length, heads, headDim, batch, layers, training, rates }: PlanOptions): number {
  const multiplyAdds = layers * batch * length * 12 * (heads * headDim) ** 2;
  if (rates === undefined) return multiplyAdds;
  const work = { dispatches: 0, multiplyAdds: (training ? 3 : 1) * multiplyAdds, bytesMoved: 0 };
  return secondsOf(new Map([['matmul', work]]), rates);
}

/**
 * The most exact attention that fits and reaches the text, unless a less exact one makes whole layers much faster. `rows` are sorted,
 * the fastest first.
 */
function recommend(rows: readonly PlanRow[], rest: number): Plan['recommended'] {
  const what = rows[0]!.seconds === null ? 'times fewer multiply-adds than' : 'times as fast as';
  // a mixer replaces attention by something else: it is listed, and never a substitute
  const able = rows.filter((row) => row.fits && row.level === 'attention');
  const reaching = able.filter(reachesText);
  let best: PlanRow | undefined;
  let why = '';
  let declined = false;
  for (const exactness of order) {
    const candidate = reaching.find((row) => row.exactness === exactness);
    if (candidate === undefined) continue;
    if (best === undefined) why = `the fastest of those that are ${exactness}, fit and reach the text`;
    else {
      const ratio = (effort(best) + rest) / (effort(candidate) + rest);
      declined ||= ratio < worthwhile;
      if (ratio < worthwhile) continue;
      why =
        `${(effort(best) / effort(candidate)).toFixed(1)} ${what} ${best.mechanism}, ${ratio.toFixed(1)} with projections and ` +
        `feed-forward; it is ${exactness}, so measure its error on your data with subquad compare`;
    }
    best = candidate;
  }
  if (best?.exactness === 'exact' && declined)
    why += `; with projections and feed-forward, no substitute is ${worthwhile} times as fast`;
  if (best !== undefined) return { mechanism: best.mechanism, why };
  const furthest = [...able].sort((a, b) => (b.reach.share ?? 0) - (a.reach.share ?? 0))[0];
  if (furthest !== undefined)
    return { mechanism: furthest.mechanism, why: 'none that fits reaches the text; of those, it reaches furthest' };
  return { mechanism: rows[0]!.mechanism, why: 'no attention fits, only mixers; the fastest of them' };
}
