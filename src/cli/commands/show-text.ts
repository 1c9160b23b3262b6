import { existsSync } from 'node:fs';
import type { AnyOptions, Mechanism } from '../../attention/index.js';
import type { Device } from '../../devices/index.js';
import { coarser, grid, type Grid } from '../../report/picture/grid.js';
import type { MarkedText } from '../../report/picture/marked-text.js';
import type { Panel } from '../../report/picture/svg.js';
import { BUNDLED_MODEL, BUNDLED_TEXT } from '../../studies/bundled.js';
import { MOST_CELLS, OneHead, type Chosen, type Places, type Shares } from '../../studies/chosen.js';
import { textFeatures, type Features } from '../../studies/features.js';
import { characters } from '../../studies/looking.js';
import { modelFeatures } from '../../studies/model-features.js';
import { loadModel } from '../../train/model-file.js';
import { type Io, UsageError } from '../io.js';
import { readText, type TextFile } from '../text-file.js';
import { withDevice } from '../common-options.js';
import type { Picture } from './show-picture.js';

/** Lengths that are tried where none is asked for: the first at which the mechanism chooses by the data. */
const LENGTHS = [1024, 2048, 4096, 8192, 16384];
/** Bytes of a mixer's picture, each its own cell: what it computes is no share of weights. */
const MIXED = 128;
/** Bytes of the text that are drawn. */
const DRAWN = 1170;

interface Asked {
  readonly length: number | undefined;
  readonly head: number;
  readonly text: string | undefined;
  readonly device: string;
  readonly threads: number | undefined;
}

/** Where a mechanism without a pattern puts its weight in a text, and what it chooses there. @throws as `run` of the mechanism. */
export async function textPicture(
  who: string,
  mechanism: Mechanism,
  settings: AnyOptions,
  asked: Asked,
  io: Pick<Io, 'cwd'>,
): Promise<Picture> {
  const { choices, level } = mechanism.definition;
  const first = choices ? LENGTHS : level === 'mixer' ? [MIXED] : [LENGTHS[0]!];
  const lengths = asked.length === undefined ? first : [asked.length];
  const text = readText(who, asked.text ?? BUNDLED_TEXT, lengths.at(-1)!, io);
  return withDevice(who, asked, async (device) => {
    for (const [i, length] of lengths.entries()) {
      const bytes = text.bytes.subarray(0, length);
      const { problem, note } = await headOf(who, device, bytes, asked.head);
      const head = new OneHead(device, mechanism, settings, problem);
      const chosen = await head.chosen();
      if (chosen === undefined && choices && i < lengths.length - 1 && bytes.length === length) continue;
      return drawn(head, chosen, text, bytes, note);
    }
    throw new Error('unreachable: the last length is drawn');
  });
}

/** Queries and keys of one head at a text. @throws UsageError for a head that the model does not have. */
async function headOf(who: string, device: Device, bytes: Uint8Array, head: number): Promise<Features> {
  if (!existsSync(BUNDLED_MODEL)) {
    return { problem: textFeatures(bytes, { heads: 1, headDim: 64, seed: head }), note: 'features of the text' };
  }
  const loaded = await loadModel(BUNDLED_MODEL, { device });
  try {
    const { heads } = loaded.config;
    if (head >= heads) throw new UsageError(`${who}: --head: the model has heads 0 to ${heads - 1}; got ${head}`);
    const { problem } = await modelFeatures(device, loaded, bytes, { heads: [head + 1] });
    return { problem, note: `head ${head} of the bundled model, which is causal` };
  } finally {
    loaded.model.dispose();
  }
}

async function drawn(
  head: OneHead,
  chosen: Chosen | undefined,
  text: TextFile,
  bytes: Uint8Array,
  note: string,
): Promise<Picture> {
  const { queries, keys, shared, group } = chosen ?? {};
  const where = `${bytes.length} bytes of ${text.name}, ${note}: queries down, keys to the right`;
  const panels: Panel[] = [{ grid: shades(await head.shares()), title: 'in the order of the text' }];
  if (queries !== undefined) {
    const gathered = await head.shares(queries.order, keys?.order);
    panels.push({
      grid: shades(gathered),
      title: `${keys ? 'both' : 'queries'} in the order in which they are gathered, by ${group}`,
    });
  }
  return {
    panels,
    weights: true,
    caption: `weights of ${where}`,
    text: chosen && marked(chosen, bytes),
    groups: [...(queries ? members(group!, queries, keys, bytes) : []), ...(shared ? [sharedKeys(shared, bytes)] : [])],
  };
}

/** A root, so that small weights are seen beside large ones. */
function shades({ rows, columns, values }: Shares): Grid {
  const most = values.reduce((max, x) => Math.max(max, Math.abs(x)), 0) || 1;
  return coarser(
    grid(rows, columns, (q, k) => Math.sqrt(Math.abs(values[q * columns + k]!) / most)),
    MOST_CELLS,
  );
}

/** The first bytes that are in a group, or of the text. */
function marked({ group, queries, shared }: Chosen, bytes: Uint8Array): MarkedText {
  const groupOf = new Int32Array(bytes.length).fill(-1);
  if (queries) {
    for (let place = queries.order.length - 1; place >= 0; place--) {
      groupOf[queries.order[place]!] = queries.groups[place]!;
    }
  }
  const marks = new Set(shared?.keys);
  const start = queries
    ? Math.max(
        0,
        groupOf.findIndex((one) => one >= 0),
      )
    : 0;
  const shown = Array.from(characters(bytes.subarray(start, start + DRAWN)), (one, i) => ({
    text: one,
    group: groupOf[start + i]!,
    marked: marks.has(start + i),
  }));
  const legend = [queries && `colour: the ${group} of a byte as a query`, shared && `line below: ${shared.are}`];
  return { characters: shown, legend: legend.filter((part) => part !== undefined).join('; ') };
}

/**
 * Some groups, spread over all, with some of their bytes, each at the end of what stands before it; keys where they are in other groups
 * than the same bytes as queries.
 */
function members(
  name: string,
  queries: Places,
  keys: Places | undefined,
  bytes: Uint8Array,
): (readonly [string, readonly string[]])[] {
  const sides: (readonly [string, Places])[] =
    keys === undefined || sameOrder(queries, keys)
      ? [['', queries]]
      : [
          [' queries', queries],
          [' keys', keys],
        ];
  const all = [...new Set(queries.groups)];
  const shown = Math.min(8 / sides.length, all.length);
  return Array.from({ length: shown }, (_, i) => all[Math.floor((i * all.length) / shown)]!).flatMap((group) =>
    sides.map(([side, { order, groups }]) => {
      const tokens = order.filter((token, place) => token >= 0 && groups[place] === group);
      return [`${name} ${group}${side}`, spread(tokens).map((token) => before(bytes, token))] as const;
    }),
  );
}

const sameOrder = (a: Places, b: Places): boolean =>
  a.order.length === b.order.length && a.order.every((token, place) => token === b.order[place]);

const sharedKeys = ({ keys, are }: NonNullable<Chosen['shared']>, bytes: Uint8Array) =>
  [are, spread(keys).map((token) => before(bytes, token))] as const;

/** Up to a dozen, evenly. */
const spread = (tokens: Int32Array): number[] => {
  const count = Math.min(12, tokens.length);
  return Array.from({ length: count }, (_, i) => tokens[Math.floor((i * tokens.length) / count)]!);
};

/** A byte and those before it, blanks as one sign. */
const before = (bytes: Uint8Array, token: number): string =>
  new TextDecoder().decode(bytes.subarray(Math.max(0, token - 5), token + 1)).replace(/\s/g, '␣');
