/**
 * Elementwise loops over float64 lanes. A lane array has `n` entries or one entry that stands for all.
 * Every loop is written out, because a shared loop calling a closure costs several times as much.
 */
export type Lane = Float64Array;

// long typed arrays live outside the JavaScript heap and cost microseconds each, so those of intermediate results are kept
const spare = new Map<number, Lane[]>();
let taken: Lane[] | undefined;
const shortest = 16;
const mostLengths = 32;

/** A lane array for a result; what it holds is undefined. */
export function fresh(length: number): Lane {
  if (taken === undefined || length < shortest) return new Float64Array(length);
  const lane = spare.get(length)?.pop() ?? new Float64Array(length);
  taken.push(lane);
  return lane;
}

/** Runs `work`, and keeps the lane arrays it took for later work, except those of its result. */
export function recycling<T extends { readonly lo: Lane; readonly hi: Lane }>(work: () => T): T {
  const outer = taken;
  taken = [];
  try {
    const result = work();
    if (spare.size > mostLengths) spare.clear();
    for (const lane of taken) {
      if (lane === result.lo || lane === result.hi) continue;
      const list = spare.get(lane.length);
      if (list === undefined) spare.set(lane.length, [lane]);
      else list.push(lane);
    }
    return result;
  } finally {
    taken = outer;
  }
}

export const add = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! + y[i * sy]!;
  return out;
};
export const sub = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! - y[i * sy]!;
  return out;
};
export const mul = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) {
    const product = x[i * sx]! * y[i * sy]!;
    // 0 · ∞: the infinity bounds a finite number, so the product is 0
    out[i] = product === product ? product : 0;
  }
  return out;
};
export const min = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! < y[i * sy]! ? x[i * sx]! : y[i * sy]!;
  return out;
};
export const max = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! > y[i * sy]! ? x[i * sx]! : y[i * sy]!;
  return out;
};
export const lt = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! < y[i * sy]! ? 1 : 0;
  return out;
};
export const le = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! <= y[i * sy]! ? 1 : 0;
  return out;
};
export const div = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = x[i * sx]! / y[i * sy]!;
  return out;
};
/** Bounds of a product: its least and greatest corner. */
export function product(xLow: Lane, xHigh: Lane, yLow: Lane, yHigh: Lane): { readonly lo: Lane; readonly hi: Lane } {
  const [lo, sx, sy] = sized(xLow, yLow);
  const hi = fresh(lo.length);
  for (let i = 0; i < lo.length; i++) {
    const a = xLow[i * sx]!;
    const b = xHigh[i * sx]!;
    const c = yLow[i * sy]!;
    const d = yHigh[i * sy]!;
    if (a > 0 && c > 0) {
      lo[i] = a * c;
      hi[i] = b * d;
      continue;
    }
    const ac = a * c;
    const ad = a * d;
    const bc = b * c;
    const bd = b * d;
    lo[i] = Math.min(ac, ad, bc, bd);
    hi[i] = Math.max(ac, ad, bc, bd);
    if (lo[i] !== lo[i]) {
      // 0 · ∞: the infinity bounds a finite number, so the product is 0
      lo[i] = Math.min(ac || 0, ad || 0, bc || 0, bd || 0);
      hi[i] = Math.max(ac || 0, ad || 0, bc || 0, bd || 0);
    }
  }
  return { lo, hi };
}
/** `⌊x / y⌋`, 0 where y is 0. */
export const floorDiv = (x: Lane, y: Lane): Lane => {
  const [out, sx, sy] = sized(x, y);
  for (let i = 0; i < out.length; i++) out[i] = y[i * sy] === 0 ? 0 : Math.floor(x[i * sx]! / y[i * sy]!);
  return out;
};
export const neg = (x: Lane): Lane => {
  const out = fresh(x.length);
  for (let i = 0; i < out.length; i++) out[i] = -x[i]!;
  return out;
};
/** `1 − x`, the negation of truth values. */
export const not = (x: Lane): Lane => {
  const out = fresh(x.length);
  for (let i = 0; i < out.length; i++) out[i] = 1 - x[i]!;
  return out;
};
export const map = (x: Lane, f: (value: number) => number): Lane => {
  const out = fresh(x.length);
  for (let i = 0; i < out.length; i++) out[i] = f(x[i]!);
  return out;
};

/** A fresh result for two operands, and the stride of each: 0 for a lane array of one entry. */
export function sized(x: Lane, y: Lane): [out: Lane, strideX: 0 | 1, strideY: 0 | 1] {
  return [fresh(Math.max(x.length, y.length)), x.length === 1 ? 0 : 1, y.length === 1 ? 0 : 1];
}
