import type { AnyOptions, AttentionShape, Mechanism } from '../attention/index.js';
import { causal as past } from '../masks/index.js';
import { flow, type Flow } from '../masks/flow.js';

/** Layers that are followed; beyond them a pattern goes on at the pace of the last one. */
const followed = 64;

/** How much of the text a row knows of: the last row where attention is causal, the middle one otherwise. */
export interface Reach {
  /** All tokens, those of a pattern, or some that the data decides, of which nothing is foretold but their number. */
  readonly by: 'all' | 'pattern' | 'data';
  /** Tokens that the row sees in one layer, itself included. */
  readonly tokens: number;
  /** Share of the text that its result depends on after the layers asked for; null where the data decides. */
  readonly share: number | null;
  /** A layer may reach more rows than are looked at: then the share is at least this, or continued from the layers that were. */
  readonly shareIs: Found;
  /** Layers after which it depends on the whole text; null: never if that is exact, else not known. */
  readonly layers: number | null;
  readonly layersAre: Found;
}

export type Found = 'exact' | 'at least' | 'at most' | 'about';

/** What a mechanism's rows know of a text with L = S after `layers` layers. @throws as the mechanism's calls do. */
export function reachOf(mechanism: Mechanism, shape: AttentionShape, options: AnyOptions, layers: number): Reach {
  const { H, S } = shape;
  const causal = options.causal === true;
  const found = mechanism.reach(shape, options);
  const exact = { shareIs: 'exact', layersAre: 'exact' } as const;
  if (found === undefined) return { by: 'all', tokens: S, share: 1, layers: 1, ...exact };
  if (found === 'data') {
    const { pairs = 0 } = mechanism.cost(shape, options);
    const tokens = Math.min(S, Math.round(pairs / (H * S)));
    return { by: 'data', tokens, share: null, shareIs: 'about', layers: null, layersAre: 'about' };
  }
  const expression = (causal ? past().and(found) : found).expression(shape);
  const row = causal ? S - 1 : Math.floor(S / 2);
  const way = flow(expression, { H, S, row, layers: Math.max(layers, followed) });
  return { by: 'pattern', tokens: way.reached[0]!, ...shareAfter(layers, way, S), ...wholeIn(way, S) };
}

function shareAfter(layers: number, { reached, exact, ended }: Flow, S: number): Pick<Reach, 'share' | 'shareIs'> {
  const last = reached.at(-1)!;
  if (layers <= reached.length || last === S) {
    const share = (reached[layers - 1] ?? last) / S;
    return { share, shareIs: share === 1 || layers <= exact ? 'exact' : 'at least' };
  }
  if (ended) return { share: last / S, shareIs: 'exact' };
  const pace = paceOf(reached);
  if (pace === undefined) return { share: last / S, shareIs: 'at least' };
  return { share: Math.min(S, last + pace * (layers - reached.length)) / S, shareIs: 'about' };
}

function wholeIn({ reached, exact, ended }: Flow, S: number): Pick<Reach, 'layers' | 'layersAre'> {
  const last = reached.at(-1)!;
  if (last === S) return { layers: reached.length, layersAre: exact === reached.length ? 'exact' : 'at most' };
  const pace = ended ? undefined : paceOf(reached);
  if (pace === undefined) return { layers: null, layersAre: ended ? 'exact' : 'about' };
  return { layers: reached.length + Math.ceil((S - last) / pace), layersAre: 'about' };
}

/** What each layer adds, where the last ones added the same, as those of a window do; others slow down, and are not continued. */
function paceOf(reached: readonly number[]): number | undefined {
  const [a = 0, b = 0, c = 0] = reached.slice(-3);
  return reached.length >= 3 && c > b && c - b === b - a ? c - b : undefined;
}
