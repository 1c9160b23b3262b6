import type { Device, Recording } from '../devices/device.js';
import { runCopy } from '../tensor/copy.js';
import { empty, keep, scope, tensor, TextPlace, writable, type Tensor } from '../tensor/index.js';

/** A step of one token of each text, computed in the same way at every place below `most`. */
export type StepOfOne = (tokens: Tensor, at: { readonly place: TextPlace; readonly most: number }) => Tensor;

export interface RecordedStepOptions {
  /** Tokens of each text before. */
  readonly starts: readonly number[];
  readonly maxLength: number;
  /** What the step reads beside its tokens and their places: where one is another object, it is to be recorded anew. */
  readonly reads: readonly unknown[];
}

/** Tokens that a recorded step is for at least: what it sets out is for that many. */
const LEAST = 1024;

/**
 * Steps of one token that are alike: the first shows what depends on the place, the second is recorded while it runs, and all others are
 * the work of the device without that of the host.
 */
export class RecordedStep {
  readonly #step: StepOfOne;
  readonly #place: TextPlace;
  readonly #tokens: Tensor;
  readonly #most: number;
  readonly #reads: readonly unknown[];
  #runs = 0;
  #recording: Recording | undefined;
  #logits: Tensor | undefined;

  /** The device must be one that records. */
  constructor(device: Device, step: StepOfOne, { starts, maxLength, reads }: RecordedStepOptions) {
    const reach = 2 * (Math.max(...starts) + 1);
    this.#step = step;
    this.#most = Math.min(maxLength, LEAST * Math.ceil(reach / LEAST));
    this.#reads = reads;
    this.#place = new TextPlace(device, starts);
    this.#tokens = keep(tensor(new Int32Array(starts.length), [starts.length, 1], { device }));
  }

  /** Whether it is the step of texts of these lengths that reads these. */
  fits(starts: readonly number[], reads: readonly unknown[]): boolean {
    return (
      starts.length === this.#tokens.size &&
      starts.every((start) => start < this.#most) &&
      reads.length === this.#reads.length &&
      reads.every((one, i) => one === this.#reads[i])
    );
  }

  /** What the step gives, and whether its computation was run again, so that nobody but the device knows of it. */
  run(starts: readonly number[], tokens: readonly number[]): { readonly logits: Tensor; readonly again: boolean } {
    this.#tokens.device.write(writable(this.#tokens), Int32Array.from(tokens));
    if (this.#runs > 0) this.#place.move(starts);
    const again = this.#recording !== undefined;
    if (again) this.#recording!.replay();
    else if (this.#runs === 0) {
      const logits = this.#compute();
      this.#runs++;
      return { logits, again };
    } else this.#record();
    this.#runs++;
    return { logits: copyOf(this.#logits!), again };
  }

  #compute(): Tensor {
    return this.#step(this.#tokens, { place: this.#place, most: this.#most });
  }

  #record(): void {
    this.#place.seal();
    this.#recording = this.#place.device.record!(() => {
      this.#logits = scope(() => keep(this.#compute()));
    });
  }

  dispose(): void {
    this.#recording?.dispose();
    this.#logits?.dispose();
    this.#tokens.dispose();
    this.#place.dispose();
  }
}

function copyOf(x: Tensor): Tensor {
  const copy = empty(x.shape, 'f32', x.device);
  const whole = { offset: 0, steps: [1] };
  runCopy([copy.size], x, whole, copy, whole);
  return copy;
}
