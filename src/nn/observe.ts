import type { Tensor } from '../tensor/index.js';

/** What sees the outputs of layers, by dotted path, in the order they are computed. */
export type Observer = (path: string, output: Tensor) => void;

let observer: Observer | undefined;

/** Runs `body` while `watch` sees every output that passes `observed`. */
export function observing<T>(watch: Observer, body: () => T): T {
  const before = observer;
  observer = watch;
  try {
    return body();
  } finally {
    observer = before;
  }
}

/** The output itself, after it was shown to whoever is observing. */
export function observed(path: string, output: Tensor): Tensor {
  observer?.(path, output);
  return output;
}

/** Whether anybody sees outputs now. */
export const isObserved = (): boolean => observer !== undefined;
