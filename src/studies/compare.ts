import { OptionError } from '../core/errors.js';
import type { Device } from '../devices/index.js';
import { type Crossover, crossovers } from './compare-crossover.js';
import { Clock, type Plan, planRow } from './compare-limits.js';
import { type CompareRow, leftOut, type Pending, timed } from './compare-row.js';
import { check } from './compare-run.js';
import { prefixOf, rowsPerHead, type Scene, shapeOf, stage } from './compare-scene.js';
import { type Features, featuresNote, textFeatures } from './features.js';
import { machine, type Machine } from './machine.js';
import { callOf, isCausal, optionFaults, type Variant, withBaselines } from './mechanisms.js';
import { type MaskPicture, maskPictures } from './picture.js';
import type { Problem } from './reference.js';
import { stopwatch } from './timing.js';

export type { CompareRow } from './compare-row.js';
export type { Crossover } from './compare-crossover.js';

export interface CompareDocument {
  readonly name: string;
  /** The first bytes of the text, at least as many as the longest length. */
  readonly bytes: Uint8Array;
  /** Of at least the longest length, where the features of a prefix are a prefix; default `textFeatures`. */
  readonly features?: Features | undefined;
}

export interface CompareOptions {
  readonly lengths: readonly number[];
  /** Of text features; a document that brings its own has its own sizes. */
  readonly heads?: number;
  readonly headDim?: number;
  /** Standard attention and flash, which speed-ups refer to, run in any case. */
  readonly variants: readonly Variant[];
  /** Keys up to the query only. A mechanism without that form is left out, one without another form is always causal. */
  readonly causal: boolean;
  /** Forward and backward with a random cotangent, instead of the forward pass alone. */
  readonly training: boolean;
  readonly seed: number;
  /** Bytes that a mechanism may hold; one that would need more is left out. */
  readonly memoryLimit: number;
  /** No length is begun that would end later than this, going by those before; the first always runs. */
  readonly seconds?: number | undefined;
  readonly onProgress?: (text: string) => void;
  /** Called with the rows of each length as soon as they are measured. */
  readonly onLength?: (rows: readonly CompareRow[]) => void;
}

/** What a row's name stands for. */
export interface Compared {
  readonly name: string;
  readonly mechanism: string;
  readonly family: string;
  readonly level: 'attention' | 'mixer';
  readonly exactness: CompareRow['exactness'];
  readonly summary: string;
  readonly paper: { readonly authors: string; readonly title: string; readonly year: number; readonly arxiv?: string };
  readonly complexity: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Comparison {
  readonly document: string;
  readonly features: string;
  readonly seed: number;
  readonly heads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly training: boolean;
  readonly mechanisms: readonly Compared[];
  /** Those that were run. */
  readonly lengths: readonly number[];
  readonly omitted: readonly { readonly length: number; readonly why: string }[];
  readonly memoryLimit: number;
  readonly rowsPerHead: number;
  /** The length at which errors are reported: the longest, or the longest of the pairs that the model behind the features was trained on. */
  readonly errorsAt?: number;
  /** The length up to which the model behind the features was trained: beyond it, errors say nothing of any model. Null where there is none. */
  readonly trainedTo?: number | null;
  readonly machine: Machine;
  readonly rows: readonly CompareRow[];
  /** From which length on each is faster than flash. */
  readonly crossovers: readonly Crossover[];
  readonly pictures: readonly MaskPicture[];
}

/** With the sizes that are compared. */
type Settled = CompareOptions & { readonly heads: number; readonly headDim: number };

/** Long enough to show sparsity, short enough to see the pattern. */
const pictureLength = 2048;

/**
 * Which attention, at which length, with what error: runs mechanisms on features of a text. Exact ones are held to float64 on
 * sampled rows of their own pairs before they are timed; the error of all is measured against float64 softmax attention.
 *
 * @throws OptionError for options that a mechanism does not take, and lengths that the text does not have, all at once.
 */
export async function compare(device: Device, document: CompareDocument, given: CompareOptions): Promise<Comparison> {
  const options: Settled = { ...given, ...sizesOf(document, given) };
  const { heads, headDim, seed, causal, training, memoryLimit } = options;
  const progress = options.onProgress ?? (() => undefined);
  const wanted = [...new Set(options.lengths)].sort((a, b) => a - b);
  const variants = withBaselines(options.variants);
  refuseBadInput(wanted, variants, document, options);
  const longest = wanted.at(-1)!;
  progress('making queries, keys and values from the text');
  const {
    problem,
    note,
    trainedTo = Infinity,
  }: Features = document.features ?? {
    problem: textFeatures(document.bytes.subarray(0, longest), { heads, headDim, seed }),
    note: featuresNote,
  };
  const rows: CompareRow[] = [];
  const clock = new Clock(options.seconds);
  const lengths: number[] = [];
  const omitted: { length: number; why: string }[] = [];
  for (const length of wanted) {
    progress(`length ${length}: rehearsal`);
    const planned = variants.map((variant) =>
      planRow(variant, length, { device, heads, headDim, causal, training, seed, memoryLimit }),
    );
    const { plans, refused } = clock.review(planned, length);
    if (refused !== undefined) {
      omitted.push({ length, why: refused });
      continue;
    }
    const { block, referenceMilliseconds } = await measure(device, prefixOf(problem, length), plans, options);
    options.onLength?.(block);
    clock.lap(block, referenceMilliseconds);
    rows.push(...block);
    lengths.push(length);
  }
  progress('drawing patterns');
  const known = lengths.filter((length) => length <= trainedTo);
  return {
    document: document.name,
    features: note,
    errorsAt: Math.max(...(known.length > 0 ? known : lengths)),
    trainedTo: Number.isFinite(trainedTo) ? trainedTo : null,
    seed,
    heads,
    headDim,
    causal,
    training,
    mechanisms: variants.map(describe),
    lengths,
    omitted,
    memoryLimit,
    rowsPerHead: rowsPerHead(heads),
    machine: machine(device),
    rows,
    crossovers: crossovers(rows, variants.find(({ mechanism }) => mechanism.name === 'flash')!.name),
    pictures: pictures(variants, Math.min(pictureLength, lengths.at(-1)!), options),
  };
}

/** Those of the features, or what was asked for; 4 heads of 64 by default. */
const sizesOf = (
  { features }: CompareDocument,
  { heads = 4, headDim = 64 }: CompareOptions,
): { readonly heads: number; readonly headDim: number } =>
  features === undefined ? { heads, headDim } : { heads: features.problem.heads, headDim: features.problem.headDim };

function refuseBadInput(
  lengths: readonly number[],
  variants: readonly Variant[],
  { bytes, features }: CompareDocument,
  { heads, headDim }: Settled,
): void {
  const faults = optionFaults(variants, shapeOf(heads, headDim, lengths.at(-1) ?? 1));
  const names = variants.map(({ name }) => name);
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  if (twice.length > 0) faults.push(`each mechanism once; got ${twice.join(', ')} again`);
  if (lengths.length === 0 || lengths[0]! < 1 || lengths.at(-1)! > bytes.length) {
    faults.push(`lengths must be from 1 to the ${bytes.length} bytes of the text; got ${lengths.join(', ') || 'none'}`);
  }
  if (features !== undefined && features.problem.length < (lengths.at(-1) ?? 0)) {
    faults.push(`lengths must be at most the ${features.problem.length} positions of the features`);
  }
  if (faults.length > 0) throw new OptionError(`compare: ${faults.join('; ')}.`);
}

/** One length: checks everything, then times it in turns. */
async function measure(
  device: Device,
  problem: Problem,
  plans: readonly Plan[],
  { causal, training, seed, onProgress }: CompareOptions,
): Promise<{ readonly block: CompareRow[]; readonly referenceMilliseconds: number }> {
  const say = (text: string): void => onProgress?.(`length ${problem.length}: ${text}`);
  say('float64 reference');
  const running = plans.filter(({ skipped }) => skipped === undefined).map(({ variant }) => variant);
  let scene: Scene;
  const referenceMilliseconds = await stopwatch(() => {
    scene = stage(device, problem, running, { causal, training, seed });
  });
  const pending: Pending[] = [];
  try {
    for (const { variant, call, row, skipped } of plans) {
      say(`checking ${variant.name} (${pending.length + 1} of ${plans.length})`);
      pending.push(skipped === undefined ? await check(scene!, variant, call, row) : leftOut(row, skipped));
    }
    say('timing');
    return { block: await timed(device, pending), referenceMilliseconds };
  } finally {
    for (const { release } of pending) release();
    scene!.dispose();
  }
}

function describe({ name, mechanism, options }: Variant): Compared {
  const { family, level = 'attention', exactness, summary, paper, complexity } = mechanism.definition;
  return { name, mechanism: mechanism.name, family, level, exactness, summary, paper, complexity, options };
}

function pictures(variants: readonly Variant[], length: number, options: Settled): MaskPicture[] {
  const { heads, headDim } = options;
  const shape = shapeOf(heads, headDim, length);
  return variants.flatMap((variant) => {
    const { mechanism, name } = variant;
    let mask;
    try {
      mask = mechanism.pattern(shape, callOf(variant, options));
    } catch {
      // the rows say why it does not take this length
      return [];
    }
    if (mask === undefined) return [];
    const causal = isCausal(variant, options.causal);
    return maskPictures({ name, label: mechanism.definition.summary, causal, mask, heads }, length);
  });
}
