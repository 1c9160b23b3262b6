import { each } from '../../gpu/stage.js';
import type { AttendSpec } from '../spec.js';
import type { GpuTileText } from './tile.js';

/** What a hidden score is: no score is as low, and its weight is 0 whatever the row's largest. */
export const HIDDEN = '-3.0e38f';

/** `x0 … x3` at one place, as a vector. */
export const quad = (x: string, j: number): string =>
  `vec4<f32>(${[0, 1, 2, 3].map((r) => `${x}${r}[${j}]`).join(', ')})`;

/** A row of scores against four keys, `s`: changed, and hidden where the mask, the score or the end of the keys hides. */
export function changeRow(
  { period, score, mask, hides }: AttendSpec,
  s: string,
  at: { readonly h?: string; readonly q: string; readonly k: string; readonly inside: string },
): string {
  const outside = (place: string): string => (period === 1 ? place : `(${place}) * ${period}i + residue`);
  return `{
    ${at.h ? `let h = ${at.h};` : ''}
    let q = ${at.q};
    let k = ${at.k};
    var seen = ${at.inside};
    ${score ? `${s} = scoreOf(b, h, ${outside('q')}, ${outside('k')}, ${s});` : ''}
    ${mask ? `if (partial) { seen = seen & (maskOf(b, h, q, k) != vec4<i32>(0)); }` : ''}
    ${hides ? `seen = seen & (bitcast<vec4<u32>>(${s}) != vec4<u32>(0xff800000u));` : ''}
    ${s} = select(vec4<f32>(${HIDDEN}), ${s}, seen);
  }`;
}

/** What a row starts from: no key seen. `sum` is an invocation's own share of it. */
export const noKeys = `
  var top = vec4<f32>(${HIDDEN});
  var sum = vec4<f32>(0.0);`;

/** Scores `s0 … s3` become weights exp(s − top), and the sums `o` of `columns` columns shrink where a row's largest score grows. */
export function weighStep(t: GpuTileText, columns: number): string {
  const ofRows = (f: (s: string) => string): string => `vec4<f32>(${[0, 1, 2, 3].map((r) => f(`s${r}`)).join(', ')})`;
  const largest = ofRows((s) => `max(max(${s}.x, ${s}.y), max(${s}.z, ${s}.w))`);
  return `
      var next = top;
      ${t.reduce(largest, 'next', (a, b) => `max(${a}, ${b})`)}
      let shrunk = expOfNegative(top - next);
      top = next;
      ${each(4, (r) => `s${r} = select(expOfNegative(s${r} - vec4<f32>(top[${r}])), vec4<f32>(0.0), s${r} <= vec4<f32>(${HIDDEN}));`)}
      sum = fma(sum, shrunk, ${ofRows((s) => `(${s}.x + ${s}.y) + (${s}.z + ${s}.w)`)});
      ${each(t.sumsOf(columns), (i) => `o${i} *= shrunk;`)}`;
}

/** `total` of all invocations with the same rows, and whether a row has seen `none`. */
export const totals = (t: GpuTileText): string => `
  var total = vec4<f32>(0.0);
  ${t.reduce('sum', 'total', (a, b) => `${a} + ${b}`)}
  let none = total == vec4<f32>(0.0);`;
