/** A text and what it is called. */
export interface LabelledText {
  readonly text: Uint8Array;
  readonly label: string;
}

/** Sequences of tokens, each with a class. */
export interface Examples {
  /** Tokens of all, one after the other. */
  readonly tokens: Uint8Array | Int32Array;
  /** Where each begins in them, and at the end their number. */
  readonly starts: Float64Array;
  /** The class of each, as an index. */
  readonly labels: Int32Array;
}

/** Tokens of an example. */
export const lengthOf = ({ starts }: Examples, index: number): number => starts[index + 1]! - starts[index]!;

/** The examples at some places, in that order. */
export function pick(examples: Examples, places: readonly number[]): Examples {
  const { tokens, starts, labels } = examples;
  return joined(
    places.map((place) => tokens.subarray(starts[place], starts[place + 1])),
    places.map((place) => labels[place]!),
  );
}

/** Sequences one after the other. */
export function joined(all: readonly (Uint8Array | Int32Array)[], labels: readonly number[]): Examples {
  const starts = new Float64Array(all.length + 1);
  all.forEach((one, i) => (starts[i + 1] = starts[i]! + one.length));
  const Kind = all.every((one) => one instanceof Uint8Array) ? Uint8Array : Int32Array;
  const tokens = new Kind(starts[all.length]!);
  all.forEach((one, i) => tokens.set(one, starts[i]));
  return { tokens, starts, labels: Int32Array.from(labels) };
}

/** The longest of some examples, and how many are longer than a length. */
export function longestOf(examples: Examples, than = Infinity): { readonly longest: number; readonly longer: number } {
  let [longest, longer] = [0, 0];
  for (let i = 0; i < examples.labels.length; i++) {
    const length = lengthOf(examples, i);
    longest = Math.max(longest, length);
    if (length > than) longer++;
  }
  return { longest, longer };
}
