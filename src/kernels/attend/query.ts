import { gpuModule } from '../../codegen/gpu.js';
import { freeVariables } from '../../codegen/expression/index.js';
import { expOfNegative, log } from '../../codegen/math.js';
import type { I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import { bytesPerElement, type FloatDtype } from '../../core/dtype.js';
import { loadFloats } from '../cast/convert.js';
import { extreme, largest } from '../lanes.js';
import { accumulators, registerTile, rowGroups, type Accumulators } from '../tile.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { Expressions, specKey } from './spec.js';
import { partFloats, queryChunk, roundUp, type QuerySpec } from './query-spec.js';
import { guardOf } from './tiles.js';

export { partFloats, queryChunk, type QuerySpec } from './query-spec.js';

const texts = gpuModule(() => import('./gpu/query.js'));

/** Floats of a query in the workspace: whole vectors of any width. */
const queryFloats = (D: number): number => roundUp(D, 16);
/** Bytes of workspace: the group's queries, and their scores of a chunk. */
export const queryScratch = ({ attend: { D }, group }: QuerySpec): number =>
  4 * group * (queryFloats(D) + queryChunk) + 64;

const names = {
  q: 'pointer',
  k: 'pointer',
  v: 'pointer',
  /** `[B, G, chunks, group, partFloats]`. */
  parts: 'pointer',
  constants: 'pointer',
  tables: 'pointer',
  flags: 'pointer',
  /** Keys of each batch row, i32 `[B]`. */
  lengths: 'pointer',
  G: 'i32',
  /** Chunks of the most keys that `lengths` may say. */
  chunks: 'i32',
  /** Rows from one head's keys to the next one's. */
  keyRows: 'i32',
  scale: 'f32',
} as const;

/**
 * Attention of one query a head over chunks of keys, which `mergeQuery` puts together (Dao et al. 2023, "Flash-Decoding"). A task is a
 * chunk of one head of keys, for all the query heads that read it: keys and values are read once, a row after the other.
 *
 * Scores are inner products along the rows; then keys are along the lanes, so that masks and changes of scores are of whole vectors.
 */
export const attendQuery = typedKernel({
  name: 'attend query',
  key: ({ attend, group, k, v }: QuerySpec) => `${specKey(attend)}/${group}/${k}/${v}`,
  parameters: names,
  text,
  gpu: (target, spec, p) => texts().queryText(target, spec, p),
});

/** What a task works on. */
interface Task {
  readonly spec: QuerySpec;
  readonly b: I32;
  /** The first query head of the group. */
  readonly head: I32;
  readonly q: I32;
  readonly k0: I32;
  readonly count: I32;
  readonly queries: Pointer;
  readonly scores: Pointer;
  readonly part: Pointer;
  readonly keys: Pointer;
  readonly values: Pointer;
}

function text(k: VectorBuilder, spec: QuerySpec, p: Read<typeof names>): void {
  const { attend, group } = spec;
  const { D, E } = attend;
  const expressions = new Expressions(k, attend, p.constants, p.tables);
  const careful = guardOf(k, attend, p.flags)?.(k.constant('i32', 1));
  k.loop(k.begin, k.end, (task) => {
    const kvHead = k.div(task, p.chunks);
    const b = k.div(kvHead, p.G);
    const k0 = k.mul(k.rem(task, p.chunks), queryChunk);
    const length = k.loadI32(k.offset(p.lengths, b, 4));
    const rowsOf = (base: Pointer, dtype: FloatDtype, columns: number): Pointer =>
      k.offset(
        k.offset(base, k.mul(kvHead, p.keyRows), bytesPerElement[dtype] * columns),
        k0,
        bytesPerElement[dtype] * columns,
      );
    k.if(k.lt(k0, length), () => {
      const t: Task = {
        spec,
        b,
        head: k.mul(k.rem(kvHead, p.G), group),
        q: k.sub(length, 1),
        k0,
        count: k.min(k.sub(length, k0), queryChunk),
        queries: k.scratch,
        scores: k.offset(k.scratch, 4 * group * queryFloats(D)),
        part: k.offset(p.parts, task, 4 * group * partFloats(E)),
        keys: rowsOf(p.k, spec.k, D),
        values: rowsOf(p.v, spec.v, E),
      };
      scaledQueries(k, t, k.offset(p.q, k.mul(kvHead, group), 4 * D), p.scale);
      const seen = scores(k, t, expressions);
      k.loop(0, group, (r) => weights(k, t, expressions, r));
      const all = (): void => {
        if (careful === undefined) return sums(k, t, false);
        k.if(
          careful,
          () => sums(k, t, true),
          () => sums(k, t, false),
        );
      };
      // of a chunk that no query sees, the statistics say so
      if (seen) k.if(seen, all);
      else all();
    });
  });
}

/** The group's queries times the scale, ending in zeros up to whole vectors. */
function scaledQueries(
  k: VectorBuilder,
  { spec, queries }: Task,
  from: Pointer,
  scale: ReturnType<VectorBuilder['loadF32']>,
): void {
  const { D } = spec.attend;
  k.loop(0, spec.group, (r) => {
    const [source, to] = [k.offset(from, r, 4 * D), k.offset(queries, r, 4 * queryFloats(D))];
    eachPiece(k, D, (at, count) => k.store(to, k.mul(k.loadVF(source, 4 * at, count), k.splat(scale)), 4 * at));
  });
}

/** Calls `body` for the vectors of a row of `columns`, the last one with the number of its lanes where it is not whole. */
function eachPiece(k: VectorBuilder, columns: number, body: (at: number, count?: I32) => void): void {
  for (let at = 0; at < columns; at += k.width) {
    if (at + k.width <= columns) body(at);
    else body(at, k.constant('i32', columns - at));
  }
}

/** Inner products of the group's queries with the keys of the chunk; returns whether any is seen, where the mask may hide all. */
function scores(k: VectorBuilder, t: Task, expressions: Expressions): I32 | undefined {
  const { mask } = t.spec.attend;
  const skips = mask !== undefined && !freeVariables(mask).has('h');
  const any = skips ? k.variable('i32', 0) : undefined;
  k.loop(
    0,
    t.count,
    (first) => {
      const products = (): void =>
        k.loop(first, k.min(k.add(first, k.width), t.count), (j) =>
          rowGroups(k, t.spec.group, headsAtOnce, (r, rows) => innerProducts(k, t, j, r, rows)),
        );
      if (any === undefined) return products();
      const seen = k.and(
        inside(k, t, first),
        expressions.mask({ b: t.b, h: t.head, q: t.q, k: keysFrom(k, t, first) })!,
      );
      k.if(k.any(seen), () => {
        k.assign(any, 1);
        products();
      });
    },
    k.width,
  );
  return any;
}

/** Query heads whose products with a row are formed together. */
const headsAtOnce = 4;
const keysFrom = (k: VectorBuilder, t: Task, first: I32): VI => k.add(k.iota(), k.splat(k.add(t.k0, first)));
const inside = (k: VectorBuilder, t: Task, first: I32): VI => k.lt(k.add(k.iota(), k.splat(first)), k.splat(t.count));

function innerProducts(k: VectorBuilder, t: Task, j: I32, first: I32, heads: number): void {
  const { spec } = t;
  const { D } = spec.attend;
  const bytes = bytesPerElement[spec.k];
  const row = k.offset(t.keys, j, bytes * D);
  const queries = k.offset(t.queries, first, 4 * queryFloats(D));
  const sums = Array.from({ length: heads }, () => k.variable('vf', 0));
  const add = (from: Pointer, by: Pointer, at: number, count?: I32): void => {
    const key = k.keep(loadFloats(k, spec.k, from, bytes * at, count));
    sums.forEach((sum, r) => k.assign(sum, k.fma(key, k.loadVF(by, 4 * (r * queryFloats(D) + at)), sum)));
  };
  // long rows by stretches, so that the text stays short
  const stretch = 16 * k.width;
  const whole = D <= stretch ? 0 : D - (D % stretch);
  if (whole > 0) {
    k.loop(
      0,
      whole,
      (at) => eachPiece(k, stretch, (piece) => add(k.offset(row, at, bytes), k.offset(queries, at, 4), piece)),
      stretch,
    );
  }
  const [rest, by] = [k.offset(row, whole * bytes), k.offset(queries, whole * 4)];
  eachPiece(k, D - whole, (at, count) => add(rest, by, at, count));
  const to = k.offset(k.offset(t.scores, first, 4 * queryChunk), j, 4);
  sums.forEach((sum, r) => k.store(to, k.reduceAdd(sum), 4 * r * queryChunk));
}

/** Scores of a head to weights exp(s − largest), and what `mergeQuery` needs to know of them. */
function weights(k: VectorBuilder, t: Task, expressions: Expressions, r: I32): void {
  const { E } = t.spec.attend;
  const line = k.offset(t.scores, r, 4 * queryChunk);
  const h = k.add(t.head, r);
  const top = k.variable('vf', -Infinity);
  const each = (body: (at: Pointer, first: I32) => void): void =>
    k.loop(0, t.count, (first) => body(k.offset(line, first, 4), first), k.width);
  each((at, first) => {
    const position = { b: t.b, h, q: t.q, k: keysFrom(k, t, first) };
    const changed = expressions.changed(position, k.loadVF(at));
    const allowed = expressions.mask(position);
    const present = inside(k, t, first);
    const score = k.select(allowed ? k.and(allowed, present) : present, changed, -Infinity);
    k.store(at, score);
    k.assign(top, largest(k, top, score));
  });
  // a NaN is told from a head that sees nothing
  const most = extreme(k, top, 'max');
  const base = k.splat(k.select(k.eq(most, -Infinity), k.constant('f32', 0), most));
  const sum = k.variable('vf', 0);
  each((at) => {
    const weight = expOfNegative(k, k.sub(k.loadVF(at), base));
    k.assign(sum, k.add(sum, weight));
    k.store(at, weight);
  });
  const out = k.offset(k.offset(t.part, r, 4 * partFloats(E)), 4 * roundUp(E, 16));
  k.store(out, most);
  k.store(out, k.reduceAdd(sum), 4);
}

/** The values of the chunk, weighed: a few vectors of a few heads at a time stay in registers. */
function sums(k: VectorBuilder, t: Task, careful: boolean): void {
  const { group, attend } = t.spec;
  const { E } = attend;
  const room = registerTile(k.width);
  const most = room.rows * room.vectors;
  // the careful product is rare: one head at a time keeps its code small
  const heads = careful ? 1 : Math.min(group, headsAtOnce);
  const vectors = Math.min(Math.ceil(E / k.width), Math.max(1, Math.floor(most / heads)));
  const columns = vectors * k.width;
  const wide = E - (E % columns);
  rowGroups(k, group, heads, (first, rows) => {
    if (wide > 0) k.loop(0, wide, (at) => weighed(k, t, { first, rows, at, columns, careful }), columns);
    if (E > wide) weighed(k, t, { first, rows, at: k.constant('i32', wide), columns: E - wide, careful });
  });
}

function weighed(
  k: VectorBuilder,
  t: Task,
  x: {
    readonly first: I32;
    readonly rows: number;
    readonly at: I32;
    readonly columns: number;
    readonly careful: boolean;
  },
): void {
  const { attend, v: dtype } = t.spec;
  const { E } = attend;
  const bytes = bytesPerElement[dtype];
  const vectors = Math.ceil(x.columns / k.width);
  const c: Accumulators = accumulators(k, x.rows, vectors);
  const from = k.offset(t.values, x.at, bytes);
  const lines = k.offset(t.scores, x.first, 4 * queryChunk);
  k.loop(0, t.count, (j) => {
    const row = k.offset(from, j, bytes * E);
    const values: VF[] = [];
    eachPiece(k, x.columns, (at, count) => values.push(k.keep(loadFloats(k, dtype, row, bytes * at, count))));
    const weightsOf = k.offset(lines, j, 4);
    c.forEach((sumsOfHead, r) => {
      const weight = k.loadSplat(weightsOf, 4 * r * queryChunk);
      sumsOfHead.forEach((sum, i) => {
        const next = k.fma(weight, values[i]!, sum);
        k.assign(sum, x.careful ? k.select(k.eq(weight, 0), sum, next) : next);
      });
    });
  });
  // a part has room for whole vectors
  const to = k.offset(k.offset(t.part, x.first, 4 * partFloats(E)), x.at, 4);
  c.forEach((sumsOfHead, r) => sumsOfHead.forEach((sum, i) => k.store(to, sum, 4 * (r * partFloats(E) + i * k.width))));
}

const merging = {
  parts: 'pointer',
  out: 'pointer',
  logsumexp: 'pointer',
  lengths: 'pointer',
  H: 'i32',
  group: 'i32',
  chunks: 'i32',
} as const;

/** The parts of each head, added in the order of their keys, as `out` and `logsumexp`; 0 and −∞ where no key is seen. */
export const mergeQuery = typedKernel({
  name: 'attend query merge',
  key: (E: number) => `${E}`,
  parameters: merging,
  text: (k, E, p) => {
    const bytes = 4 * partFloats(E);
    k.loop(k.begin, k.end, (task) => {
      const b = k.div(task, p.H);
      const chunks = k.div(k.add(k.loadI32(k.offset(p.lengths, b, 4)), queryChunk - 1), queryChunk);
      const first = k.add(k.mul(k.mul(k.div(task, p.group), p.chunks), p.group), k.rem(task, p.group));
      const parts = k.offset(p.parts, first, bytes);
      const partOf = (i: I32): Pointer => k.offset(parts, k.mul(i, p.group), bytes);
      const topOf = (part: Pointer): VF => k.loadSplat(part, 4 * roundUp(E, 16));
      const top = k.variable('vf', -Infinity);
      k.loop(0, chunks, (i) => k.assign(top, largest(k, top, topOf(partOf(i)))));
      const total = k.variable('vf', 0);
      // factors of parts that see nothing are left out: their sums were not written
      const eachPart = (body: (part: Pointer, factor: VF) => void): void =>
        k.loop(0, chunks, (i) => {
          const part = partOf(i);
          const own = topOf(part);
          k.if(k.any(k.ne(own, -Infinity)), () => body(part, expOfNegative(k, k.sub(own, top))));
        });
      eachPart((part, factor) => k.assign(total, k.fma(factor, k.loadSplat(part, 4 * (roundUp(E, 16) + 1)), total)));
      const none = k.eq(total, 0);
      const inverse = k.select(none, k.constant('vf', 0), k.div(k.constant('vf', 1), total));
      const out = k.offset(p.out, task, 4 * E);
      eachPiece(k, E, (at, count) => {
        const sum = k.variable('vf', 0);
        eachPart((part, factor) => k.assign(sum, k.fma(factor, k.loadVF(part, 4 * at), sum)));
        k.store(out, k.mul(sum, inverse), 4 * at, count);
      });
      const logsumexp = k.select(none, k.constant('vf', -Infinity), k.add(top, log(k, total)));
      k.store(k.offset(p.logsumexp, task, 4), k.lane(logsumexp, 0));
    });
  },
});
