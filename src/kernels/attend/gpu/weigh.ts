import { each, loaders } from '../../gpu/stage.js';
import type { Wgsl } from '../../typed-kernel.js';
import type { AttendSpec } from '../spec.js';
import { dropoutText, expressionsText, mathText, type SharedNames } from './expressions.js';
import { rowsAt, uniformWords } from './forward.js';
import type { GpuRows, GpuTileText } from './tile.js';

// What the passes of the backward pass on a GPU have in common: scores and dP become weights and dScores.

/** What every one of them is given. */
export type BackwardNames = SharedNames & Wgsl<{ dout: 'pointer'; delta: 'pointer' }>;

/** What `weighRows` is about: whose rows are owned, and positions as expressions. */
interface Weighing {
  /** Position of own row `r`, and those of the four others, in the residue class. */
  readonly own: (r: number) => string;
  readonly others: string;
  /** Per pair of own row `r`: a f32 where queries are owned, else four. */
  readonly base: (r: number) => string;
  readonly delta: (r: number) => string;
  readonly keep: (r: number) => string;
  /** Whether four others exist, and whether the mask must be looked at, both of own row `r`. */
  readonly inside: (r: number) => string;
  readonly partial: (r: number) => string;
  /** Sees dScore′, four pairs, after the slope has been left out. */
  readonly onChange?: (r: number) => string;
}

/** As `weigh` on a CPU: `s` become weights, `t` dScores; both dropped as the forward pass dropped. */
export function weighRows(spec: AttendSpec, along: 'keys' | 'queries', w: Weighing): string {
  const { period, score, slope, mask, hides, dropout } = spec;
  const outside = (place: string): string => (period === 1 ? place : `(${place} * ${period}i + residue)`);
  return each(4, (r) => {
    const [q, k] = along === 'keys' ? [w.own(r), w.others] : [w.others, w.own(r)];
    const at = `b, h, ${outside('q')}, ${outside('k')}, raw`;
    return `{
    let q = ${q};
    let k = ${k};
    let raw = s${r};
    let changed = ${score ? `scoreOf(${at})` : 'raw'};
    var seen = ${w.inside(r)};
    ${mask ? `if (${w.partial(r)}) { seen = seen & (maskOf(b, h, q, k) != vec4<i32>(0)); }` : ''}
    ${hides ? 'seen = seen & (bitcast<vec4<u32>>(changed) != vec4<u32>(0xff800000u));' : ''}
    let none = vec4<f32>(0.0);
    let weight = select(none, expOfNegative(changed - ${w.base(r)}), seen);
    let change = select(none, weight * (t${r}${dropout ? ` * ${w.keep(r)}` : ''} - ${w.delta(r)}), seen);
    ${w.onChange?.(r) ?? ''}
    s${r} = weight${dropout ? ` * ${w.keep(r)}` : ''};
    t${r} = ${slope ? `select(none, change * slopeOf(${at}), seen)` : 'change'};
  }`;
  });
}

export const iota = 'vec4<i32>(0, 1, 2, 3)';

/** Row statistics of four queries: those of a row without keys are 0, so that its scores meet no −∞ − −∞. */
const statisticsText = (p: BackwardNames): string => `
fn logsumexpAt(i: u32) -> f32 {
  let bits = arena[${p.logsumexp} / 4u + i];
  return select(bitcast<f32>(bits), 0.0, bits == 0xff800000u);
}
fn deltaAt(i: u32) -> f32 { return load_f32(${p.delta} / 4u + i); }
`;

export const commonText = (t: GpuTileText, spec: AttendSpec, p: BackwardNames, along: 'keys' | 'queries'): string => `
${loaders(['f32'])}
${t.memory}
${uniformWords}
${mathText()}
${expressionsText(spec, p, along)}
${dropoutText(spec, p)}
${statisticsText(p)}`;

/** Stores, or adds to what is there, `o · factor` for an invocation's columns of its four own rows. */
export function storeSums(
  t: GpuTileText,
  x: {
    readonly o: string;
    readonly rows: Pick<GpuRows, 'start' | 'pitch'>;
    readonly columns: number;
    readonly total: number;
    readonly first: string;
    readonly factor: string;
    readonly exists: (r: number) => string;
    readonly adds: string;
  },
): string {
  const { otherQuads } = t.cut;
  return each(
    4,
    (r) => `if (${x.exists(r)}) {
    ${each(t.sumsOf(x.columns), (i) => {
      const column = `tt + ${i * otherQuads}u`;
      return `if (${column} < ${x.columns}u && ${x.first} + ${column} < ${x.total}u) {
        let at = ${x.rows.start} + (4u * to + ${r}u) * ${x.rows.pitch} + ${x.first} + ${column};
        var value = ${x.o}${i}[${r}]${x.factor};
        if (${x.adds} != 0i) { value += load_f32(at); }
        arena[at] = bitcast<u32>(value);
      }`;
    })}
  }`,
  );
}

/** Rows that a workgroup of queries owns, and keys it meets. */
export function queryRows(spec: AttendSpec, p: BackwardNames) {
  const { D, E, period } = spec;
  const own = (pointer: string, columns: number) => ({
    ...rowsAt(pointer, { head: 'head', length: p.L, columns, period, first: 'q0' }),
    valid: '(L - q0)',
  });
  const keys = (pointer: string, columns: number) => ({
    ...rowsAt(pointer, { head: 'kvHead', length: p.S, columns, period, first: 'k0' }),
    valid: 'count',
  });
  return { q: { ...own(p.q, D), factor: p.scale }, dout: own(p.dout, E), k: keys(p.k, D), v: keys(p.v, E) };
}

/** Scores and dP of a workgroup that owns queries, made weights and dScores. */
export function weighKeys(
  t: GpuTileText,
  spec: AttendSpec,
  p: BackwardNames,
  onChange?: (r: number) => string,
): string {
  const { D, E, dropout } = spec;
  const x = queryRows(spec, p);
  return `
      ${t.product('s', x.q, x.k, D)}
      ${t.product('t', x.dout, x.v, E)}
      let keys = k0 + 4i * i32(tt) + ${iota};
      let inside = keys - k0 < vec4<i32>(count);
      ${dropout ? `let keep = kept(q0 + 4i * i32(to) + ${iota}, k0 + 4i * i32(tt), head, residue);` : ''}
      ${weighRows(spec, 'keys', {
        own: (r) => `min(q0 + 4i * i32(to) + ${r}i, L - 1i) + S - L`,
        others: 'keys',
        base: (r) => `vec4<f32>(base[${r}])`,
        delta: (r) => `vec4<f32>(delta[${r}])`,
        keep: (r) => `vec4<f32>(${[0, 1, 2, 3].map((j) => `keep[${j}][${r}]`).join(', ')})`,
        inside: () => 'inside',
        partial: () => 'partial',
        ...(onChange && { onChange }),
      })}`;
}

/** `base` and `delta` of the four own queries. */
export const ownStatistics = ({ period }: AttendSpec, p: BackwardNames): string => `
  var base = vec4<f32>(0.0);
  var delta = vec4<f32>(0.0);
  ${each(
    4,
    (r) => `if (q0 + 4i * i32(to) + ${r}i < L) {
    let at = u32(head * ${p.L} + residue + (q0 + 4i * i32(to) + ${r}i) * ${period}i);
    base[${r}] = logsumexpAt(at);
    delta[${r}] = deltaAt(at);
  }`,
  )}`;
