import { copyRows, roomFor } from '../attention/decode/room.js';
import type { ForwardResult } from '../attention/definition.js';
import { isPlainObject } from '../core/describe.js';
import { FormatError, OptionError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import type { Attention, Context, Embedding } from '../nn/index.js';
import { gather, reshape, transpose } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, share, tensor, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './model-config.js';
import { inOrder, rowsBy, tokensBetween, tokensOf } from './next-tokens.js';

/** What encodes sources. */
export interface SourceReader {
  readonly config: Pick<ModelConfig, 'vocabulary'>;
  readonly ends: { readonly embedding: Pick<Embedding, 'weight'> };
  encode(source: Tensor, context?: Context): Tensor;
}

/** What each layer reads of some sources of one length, `[sources, G, S, D]`. */
type Kept = readonly { readonly k: Tensor; readonly v: Tensor }[];

/** The source of a row: its group, and its number there. */
type Place = readonly [group: number, source: number];

/** Of a header that JSON can hold. */
export interface SourcesHeader {
  readonly of: readonly Place[];
}

const who = 'session: sources';

/**
 * What a decoder reads: keys and values of sources for each of its layers that attend to an encoder. A source is encoded and projected once,
 * however many rows go on after it: their queries have no order in such an attention, so those of one source are computed side by side.
 */
export class Sources {
  private constructor(
    readonly layers: readonly Attention[],
    readonly groups: readonly Kept[],
    readonly of: readonly Place[],
  ) {}

  /** Encodes a source for each row. @throws OptionError for what is not one list of tokens for each row. */
  static read(
    model: SourceReader,
    layers: readonly Attention[],
    given: {
      readonly sources: unknown;
      readonly rows: number;
      readonly globals?: readonly (readonly number[])[] | undefined;
    },
  ): Sources {
    const { sources, rows, globals } = given;
    const lists = listsOf(sources, rows, model.config.vocabulary);
    const keys = lists.map((list, row) => `${list.join()}${globals ? ` ${globals[row]!.join()}` : ''}`);
    const first = new Map<string, number>();
    const distinct = lists.flatMap((list, row) => {
      const key = keys[row]!;
      if (first.has(key)) return [];
      first.set(key, first.size);
      return [{ list, globals: globals?.[row] }];
    });
    const lengths = rowsBy(distinct.length, (i) => distinct[i]!.list.length);
    const { device } = model.ends.embedding.weight.value;
    const groups: Kept[] = [];
    try {
      for (const group of lengths) {
        const own = group.map((i) => distinct[i]!.list);
        const globalTokens = globals && group.map((i) => distinct[i]!.globals!);
        groups.push(
          keep(
            scope(() =>
              noGradient(() => {
                const context = globalTokens && { globalTokens };
                const encoded = model.encode(tokensBetween(own, 0, own[0]!.length, device), context);
                return layers.map((layer) => scope(() => stored(layer.keys(encoded))));
              }),
            ),
          ),
        );
      }
    } catch (error) {
      disposeAll(groups);
      throw error;
    }
    const places = new Map(lengths.flatMap((group, g) => group.map((i, at) => [i, [g, at] as Place] as const)));
    return new Sources(
      layers,
      groups,
      keys.map((key) => places.get(first.get(key)!)!),
    );
  }

  /** What row i of this is row `rows[i]` of. The memory is shared. */
  fork(rows: readonly number[]): Sources {
    const groups = keep(this.groups.map((group) => group.map(({ k, v }) => ({ k: share(k), v: share(v) }))));
    return new Sources(
      this.layers,
      groups,
      rows.map((row) => this.of[row]!),
    );
  }

  /** What `layer` gives for rows `x [R, T, features]`, which are of `rows`. */
  attend(layer: Attention, x: Tensor, rows: readonly number[]): Tensor {
    const index = this.layers.indexOf(layer);
    return scope(() => {
      const q = layer.queries(x); // [R, H, T, D]
      const parts = rowsBy(rows.length, (i) => this.of[rows[i]!]![0]).map((own) => {
        const { k, v } = this.groups[this.of[rows[own[0]!]!]![0]]![index]!;
        const numbers = own.map((i) => this.of[rows[i]!]![1]);
        return { rows: own, ...attendTo(layer, taken(q, own), { k, v, numbers }) };
      });
      const all = (x: (part: (typeof parts)[number]) => Tensor): Tensor =>
        inOrder(parts.map((part) => ({ rows: part.rows, x: x(part) })));
      const sums = parts.every(({ logsumexp }) => logsumexp !== undefined);
      return layer.combine(
        all(({ out }) => out),
        sums ? all(({ logsumexp }) => logsumexp!) : undefined,
      );
    });
  }

  /** The tensors, shared, by names that begin with `sources.`; the caller disposes of them. */
  export(): { readonly header: SourcesHeader; readonly tensors: ReadonlyMap<string, Tensor> } {
    const named = this.groups.flatMap((group, g) =>
      group.flatMap(({ k, v }, layer) => [
        [`sources.${g}.${layer}.k`, share(k)] as const,
        [`sources.${g}.${layer}.v`, share(v)] as const,
      ]),
    );
    return { header: { of: this.of }, tensors: new Map(named) };
  }

  /** @throws FormatError for what these layers did not export for so many rows. */
  static import(
    layers: readonly Attention[],
    rows: number,
    { header, tensors }: { readonly header: unknown; readonly tensors: ReadonlyMap<string, Tensor> },
  ): Sources {
    const of = placesOf(header, rows);
    const count = Math.max(...of.map(([group]) => group)) + 1;
    const reasons: string[] = [];
    const groups = Array.from({ length: count }, (_, g) => {
      const least = Math.max(...of.map(([group, source]) => (group === g ? source + 1 : 0)));
      const [U = 0, , S = 0] = tensors.get(`sources.${g}.0.k`)?.shape ?? [];
      return layers.map(({ kvHeads, headDim }, layer) => {
        const [k, v] = (['k', 'v'] as const).map((name) => {
          const full = `sources.${g}.${layer}.${name}`;
          const found = tensors.get(full);
          const fits = found && U >= least && sameShape(found.shape, [U, kvHeads, S, headDim]);
          if (!fits || found.dtype !== 'f32') {
            const got = found ? `${found.dtype}${show(found.shape)}` : 'none';
            reasons.push(`${full} must be f32[${least} or more,${kvHeads},S,${headDim}]; got ${got}`);
          }
          return found!;
        });
        return { k: k!, v: v! };
      });
    });
    if (reasons.length > 0)
      throw new FormatError(`session: import: the state's sources do not fit: ${reasons.join('; ')}.`);
    return new Sources(layers, groups, of).fork(of.map((_, row) => row));
  }

  dispose(): void {
    disposeAll(this.groups);
  }
}

/** Where the ledger counts what a session keeps. */
function stored(rows: Kept[number]): Kept[number] {
  const [k, v] = [rows.k, rows.v].map((x) => {
    const [B, G, S, columns] = x.shape as [number, number, number, number];
    const room = roomFor(x.device, { B, G }, columns, S);
    copyRows(x, 0, room, 0, S);
    return room;
  });
  return { k: k!, v: v! };
}

/** Attention of `q [R, H, T, D]` to sources, row i to source `numbers[i]`: `out [R, H, T, E]` and `logsumexp [R, H, T]`. */
function attendTo(
  layer: Attention,
  q: Tensor,
  { k, v, numbers }: { readonly k: Tensor; readonly v: Tensor; readonly numbers: readonly number[] },
): Pick<ForwardResult, 'out' | 'logsumexp'> {
  const [, H, T, D] = q.shape as [number, number, number, number];
  const rows = rowsBy(numbers.length, (i) => numbers[i]!).sort((a, b) => numbers[a[0]!]! - numbers[b[0]!]!);
  const read = rows.map(([i]) => numbers[i!]!);
  const each = Math.max(...rows.map(({ length }) => length));
  // a source that fewer rows read is read by its last one again
  const order = rows.flatMap((own) => Array.from({ length: each }, (_, i) => own[Math.min(i, own.length - 1)]!));
  const heads = reshape(taken(q, order), [read.length, each, H, T, D]);
  const queries = reshape(transpose(heads, [0, 2, 1, 3, 4]), [read.length, H, each * T, D]);
  const { out, logsumexp } = layer.mechanism.run(queries, taken(k, read), taken(v, read), layer.callOptions());
  const back = numbers.map((_, i) => order.indexOf(i));
  const apart = (x: Tensor): Tensor => {
    const E = x.size / (read.length * H * each * T);
    const rows = transpose(reshape(x, [read.length, H, each, T, E]), [0, 2, 1, 3, 4]);
    return taken(reshape(rows, [order.length, H, T, ...x.shape.slice(3)]), back);
  };
  return { out: apart(out), ...(logsumexp && { logsumexp: apart(logsumexp) }) };
}

/** Rows of the first axis by number; the tensor itself where these are all of them in order. */
function taken(x: Tensor, rows: readonly number[]): Tensor {
  if (rows.length === x.shape[0] && rows.every((row, i) => row === i)) return x;
  return gather(x, tensor(Int32Array.from(rows), [rows.length], { device: x.device }));
}

function listsOf(sources: unknown, rows: number, vocabulary: number): readonly Int32Array[] {
  const given: readonly unknown[] = Array.isArray(sources) ? sources : [];
  if (given.length !== rows) {
    throw new OptionError(
      `${who}: must be a list of the tokens that each of its ${rows} rows follows; got ${Array.isArray(sources) ? `${given.length} lists` : 'another value'}.`,
    );
  }
  return given.map((list, row) => tokensOf(rows === 1 ? who : `${who}: row ${row}`, list, vocabulary));
}

function placesOf(header: unknown, rows: number): readonly Place[] {
  const of = isPlainObject(header) ? header['of'] : undefined;
  const whole = (x: unknown): boolean => Number.isSafeInteger(x) && (x as number) >= 0;
  const fits =
    Array.isArray(of) &&
    of.length === rows &&
    of.every((place) => Array.isArray(place) && place.length === 2 && place.every(whole));
  if (fits) return of as readonly Place[];
  throw new FormatError(`session: import: the state does not say what source each of its ${rows} rows has.`);
}
