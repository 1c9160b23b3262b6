import { OptionError } from '../core/errors.js';
import type { CpuDevice } from '../devices/index.js';
import { tensor } from '../tensor/index.js';
import { check, type CompareRow, leftOut, type Pending, type Scene, timed } from './compare-row.js';
import { featuresNote, textFeatures } from './features.js';
import { machine, type Machine } from './machine.js';
import type { NamedMask } from './mask-names.js';
import { fused, type Mechanism, standard, standardBytes, standardGroup } from './mechanisms.js';
import { type MaskPicture, maskPicture } from './picture.js';
import { keysSeen, type Problem, referenceRow, sampleRows } from './reference.js';

export type { CompareRow } from './compare-row.js';

export interface CompareDocument {
  readonly name: string;
  /** The first bytes of the text, at least as many as the longest length. */
  readonly bytes: Uint8Array;
}

export interface CompareOptions {
  readonly lengths: readonly number[];
  readonly heads: number;
  readonly headDim: number;
  /** Beside standard attention. */
  readonly masks: readonly NamedMask[];
  readonly seed: number;
  /** Bytes that standard attention may take for its n×n matrices. */
  readonly memoryLimit: number;
  /** No length is begun that would end later than this, going by the length before; the first always runs. */
  readonly seconds?: number | undefined;
  readonly onProgress?: (text: string) => void;
  /** Called with the rows of each length as soon as they are measured. */
  readonly onLength?: (rows: readonly CompareRow[]) => void;
}

export interface Comparison {
  readonly document: string;
  readonly features: string;
  readonly seed: number;
  readonly heads: number;
  readonly headDim: number;
  /** Those that were run. */
  readonly lengths: readonly number[];
  readonly omitted: readonly { readonly length: number; readonly why: string }[];
  readonly memoryLimit: number;
  readonly rowsPerHead: number;
  readonly machine: Machine;
  readonly rows: readonly CompareRow[];
  readonly pictures: readonly MaskPicture[];
}

/** Where time is limited, standard attention is not begun when it would take longer, going by the length before. */
const STANDARD_MILLISECONDS = 4000;
const ROWS_PER_HEAD = 8;
/** Long enough to show sparsity, short enough to see the pattern. */
const PICTURE_LENGTH = 2048;

/**
 * Which attention, at which length, with what error: runs standard attention and the fused ones on features of a text.
 *
 * Every result is held to float64 on sampled rows before it is timed.
 *
 * @throws OptionError for a length that the text does not have.
 */
export async function compare(
  device: CpuDevice,
  document: CompareDocument,
  options: CompareOptions,
): Promise<Comparison> {
  const { heads, headDim, seed, masks, memoryLimit } = options;
  const progress = options.onProgress ?? (() => undefined);
  const wanted = [...new Set(options.lengths)].sort((a, b) => a - b);
  const longest = wanted.at(-1) ?? 0;
  if (wanted[0] === undefined || wanted[0] < 1 || longest > document.bytes.length) {
    throw new OptionError(
      `compare: lengths must be from 1 to the ${document.bytes.length} bytes of the text; got ${wanted.join(', ')}.`,
    );
  }
  progress('making queries, keys and values from the text');
  const features = textFeatures(document.bytes.subarray(0, longest), { heads, headDim, seed });
  const mechanisms = masks.map(fused);
  const rows: CompareRow[] = [];
  const clock = new Clock(options.seconds ?? Infinity);
  const lengths: number[] = [];
  const omitted: { length: number; why: string }[] = [];
  for (const length of wanted) {
    const why = clock.refusal(length);
    if (why !== undefined) {
      omitted.push({ length, why });
      continue;
    }
    const scene = stage(device, prefixOf(features, length), mechanisms, seed, progress);
    try {
      const pending = [await checkStandard(scene, rows, memoryLimit, options.seconds !== undefined)];
      for (const mechanism of mechanisms) {
        progress(`length ${length}: checking ${mechanism.label}`);
        pending.push(await check(scene, mechanism));
      }
      progress(`length ${length}: timing`);
      const block = timed(scene, pending);
      options.onLength?.(block);
      rows.push(...block);
      lengths.push(length);
      clock.lap(block);
    } finally {
      for (const x of scene.inputs) x.dispose();
    }
  }
  return {
    document: document.name,
    features: featuresNote,
    seed,
    heads,
    headDim,
    lengths,
    omitted,
    memoryLimit,
    rowsPerHead: ROWS_PER_HEAD,
    machine: machine(device),
    rows,
    pictures: masks
      .filter(({ name }) => name !== 'none')
      .map((mask) => maskPicture(mask, Math.min(PICTURE_LENGTH, lengths.at(-1)!))),
  };
}

/** Whether there is time for another length, going by the times of the last one. */
class Clock {
  readonly #start = performance.now();
  #last: readonly CompareRow[] = [];

  constructor(readonly limit: number) {}

  lap(rows: readonly CompareRow[]): void {
    this.#last = rows;
  }

  /** Why a length is not begun. */
  refusal(length: number): string | undefined {
    let expected = performance.now() - this.#start;
    for (const row of this.#last) {
      const growth = length / row.length;
      const time = (row.milliseconds ?? 0) * (row.kind === 'sparse' ? growth : growth ** 2);
      // standard attention has a limit of its own
      if (row.kind === 'standard' && time > STANDARD_MILLISECONDS) continue;
      // a checked run, a timed one, and the float64 rows; compiling belongs to the first length
      expected += 2.5 * time;
    }
    if (this.#last.length === 0 || expected <= 1000 * this.limit) return undefined;
    return `it might end only after ${Math.round(expected / 1000)} s; the limit is ${this.limit} s`;
  }
}

/** Features of a position depend on what is before it only, so shorter problems are prefixes. */
function prefixOf(all: Problem, length: number): Problem {
  const { heads, headDim, length: full } = all;
  const cut = (x: Float32Array): Float32Array => {
    const out = new Float32Array(heads * length * headDim);
    for (let h = 0; h < heads; h++) {
      const from = h * full * headDim;
      out.set(x.subarray(from, from + length * headDim), h * length * headDim);
    }
    return out;
  };
  return { heads, headDim, length, q: cut(all.q), k: cut(all.k), v: cut(all.v) };
}

/** Uploads a problem and computes what its results are held to. */
function stage(
  device: CpuDevice,
  problem: Problem,
  mechanisms: readonly Mechanism[],
  seed: number,
  progress: (text: string) => void,
): Scene {
  const { heads, length, headDim } = problem;
  progress(`length ${length}: float64 reference`);
  const targets = { full: { causal: false, mask: undefined }, causal: { causal: true, mask: undefined } };
  const supports = [targets.full, targets.causal, ...mechanisms.map(({ support }) => support)];
  const seen = supports.map((support) => keysSeen(support, problem));
  const sampled = sampleRows(heads, length, ROWS_PER_HEAD, seed).map((row) => {
    const [full, causal, ...own] = referenceRow(problem, row, seen);
    return { ...row, target: { full: full!, causal: causal! }, own: new Map(mechanisms.map((m, i) => [m, own[i]!])) };
  });
  const upload = (x: Float32Array) => tensor(x, [1, heads, length, headDim], { device });
  return {
    device,
    length,
    headDim,
    sampled,
    inputs: [upload(problem.q), upload(problem.k), upload(problem.v)],
    progress,
  };
}

/** Standard attention, unless its matrices or its time would exceed a limit: the row then says so. */
async function checkStandard(
  scene: Scene,
  before: readonly CompareRow[],
  memoryLimit: number,
  hurried: boolean,
): Promise<Pending> {
  const { length, inputs, progress } = scene;
  const heads = inputs[0].shape[1]!;
  const limit = Math.min(memoryLimit, scene.device.info.memoryLimit ?? Infinity);
  const group = standardGroup(heads, length, limit);
  const mechanism = standard(heads, group || heads);
  if (group === 0) {
    const why = `the n×n matrices of one head take ${room(standardBytes(1, length))}; the limit is ${room(limit)}`;
    return leftOut(scene, mechanism, why);
  }
  const last = [...before].reverse().find((row) => row.mechanism === 'standard');
  if (last !== undefined) {
    if (last.milliseconds === null) return leftOut(scene, mechanism, 'a shorter length was left out');
    const expected = last.milliseconds * (length / last.length) ** 2;
    if (hurried && expected > STANDARD_MILLISECONDS) {
      const why = `it would take about ${Math.round(expected / 1000)} s; the limit is ${STANDARD_MILLISECONDS / 1000} s`;
      return leftOut(scene, mechanism, why);
    }
  }
  progress(`length ${length}: checking standard attention`);
  return check(scene, mechanism);
}

function room(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}
