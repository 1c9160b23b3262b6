/** Primes up to here have a stage of their own; a length with a larger one is turned into a convolution. */
const LARGEST_PRIME = 64;
/** Points one thread transforms at a time: two blocks of so many rows of 128 bytes lie in the second-level cache. */
const MOST_POINTS = 1024;
/** Words of a stage's record: radix, m, s, and where its numbers begin in the table. */
export const STAGE_WORDS = 4;

/** One sweep over the data: transforms of `radix` points, `m·s` of them, each done in scratch by `stages`. */
export interface Pass {
  readonly radix: number;
  readonly m: number;
  readonly s: number;
  readonly stages: number;
  /** First word of the stages' records, and of the roots of unity of `radix·m`, in the table. */
  readonly stagesAt: number;
  readonly rootsAt: number;
}

/** How to transform `n` points, and the numbers needed: f32 roots of unity from f64, and i32 records. */
export interface FourierPlan {
  readonly passes: readonly Pass[];
  readonly table: Uint8Array;
}

function primeFactors(n: number): number[] {
  const factors: number[] = [];
  for (let p = 2; p * p <= n; p++) for (; n % p === 0; n /= p) factors.push(p);
  if (n > 1) factors.push(n);
  return factors;
}

/** Whether a plan exists: every prime factor is small. */
export const isSmooth = (n: number): boolean => primeFactors(n).every((p) => p <= LARGEST_PRIME);

/** The shortest length from `least` on whose only primes are 2, 3 and 5, and of the last two one or two. */
export function smoothAtLeast(least: number): number {
  const lengths = [1, 3, 5, 9, 15].map((odd) => odd * 2 ** Math.max(0, Math.ceil(Math.log2(least / odd))));
  return Math.min(...lengths);
}

/** Splits prime factors into as few products of at most `limit` as possible, about equally large. */
function split(factors: readonly number[], limit: number): number[][] {
  for (let count = 1; ; count++) {
    const bins = Array.from({ length: count }, () => ({ product: 1, factors: [] as number[] }));
    for (const factor of [...factors].sort((a, b) => b - a)) {
      const least = bins.reduce((best, bin) => (bin.product < best.product ? bin : best));
      least.product *= factor;
      least.factors.push(factor);
    }
    if (bins.every((bin) => bin.product <= limit)) return bins.map((bin) => bin.factors);
  }
}

/** Pairs of twos are one stage of radix 4. */
function stageRadices(factors: readonly number[]): number[] {
  const twos = factors.filter((factor) => factor === 2).length;
  const fours = new Array<number>(twos >> 1).fill(4);
  return [...fours, ...new Array<number>(twos & 1).fill(2), ...factors.filter((factor) => factor !== 2)];
}

const passesOf = (n: number, whole: boolean): number[][] => split(primeFactors(n), whole ? n : MOST_POINTS);

/** Multiply-adds of each complex number of a transform of `n` points: the stages', and 4 for the factor at the end of a pass. */
export function productsOf(n: number, whole = false): number {
  const perStage = (r: number): number => (r % 2 === 1 ? 4 * r + 4 : (4 * (r - 1)) / r);
  return passesOf(n, whole).reduce(
    (sum, factors) => stageRadices(factors).reduce((inside, r) => inside + perStage(r), sum + (whole ? 0 : 4)),
    0,
  );
}

/**
 * A self-sorting transform (Stockham) of mixed radix, twice: passes over memory of up to 1024 points, each made of stages of
 * radix 4, 2 and odd primes in scratch. `whole` makes one pass of any length.
 */
export function planFourier(n: number, whole = false): FourierPlan {
  const words: number[] = [];
  const integers = new Set<number>();
  const record = (...numbers: number[]): void =>
    numbers.forEach((number) => {
      integers.add(words.length);
      words.push(number);
    });
  const root = (power: number, order: number): void => {
    const angle = (-2 * Math.PI * (power % order)) / order;
    words.push(Math.cos(angle), Math.sin(angle));
  };
  const passes: Pass[] = [];
  let [left, s] = [n, 1];
  for (const factors of passesOf(n, whole)) {
    const radices = stageRadices(factors);
    const radix = factors.reduce((product, factor) => product * factor, 1);
    const m = left / radix;
    const stagesAt = words.length;
    for (let stage = 0; stage < radices.length * STAGE_WORDS; stage++) record(0);
    let [inside, before] = [radix, 1];
    radices.forEach((r, stage) => {
      const steps = inside / r;
      [r, steps, before, words.length].forEach((number, i) => (words[stagesAt + stage * STAGE_WORDS + i] = number));
      const odd = r % 2 === 1;
      if (odd) for (let power = 0; power < r; power++) root(power, r);
      for (let p = 0; p < steps; p++) for (let power = odd ? 0 : 1; power < r; power++) root(p * power, inside);
      inside = steps;
      before *= r;
    });
    const rootsAt = words.length;
    for (let power = 0; power < radix * m; power++) root(power, radix * m);
    passes.push({ radix, m, s, stages: radices.length, stagesAt, rootsAt });
    left = m;
    s *= radix;
  }
  const floats = Float32Array.from(words);
  const bits = new Int32Array(floats.buffer);
  for (const at of integers) bits[at] = words[at]!;
  return { passes, table: new Uint8Array(floats.buffer) };
}
