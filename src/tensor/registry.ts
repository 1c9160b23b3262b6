/** What scopes dispose. */
export interface Scoped {
  dispose(): void;
}

/** The tensors created while one `scope` runs and not yet disposed. */
export type Frame = Set<Scoped>;

const frames: Frame[] = [];
let live = 0;
let leaked = 0;

/** Counts a new tensor; its owner is the innermost scope. */
export function register(tensor: Scoped): Frame | undefined {
  live++;
  const frame = frames.at(-1);
  frame?.add(tensor);
  return frame;
}

export function unregister(tensor: Scoped, frame: Frame | undefined): void {
  live--;
  frame?.delete(tensor);
}

/** A tensor was collected without being disposed. */
export function countLeak(): void {
  live--;
  leaked++;
}

/** Tensors that were created and not disposed. */
export const liveTensors = (): number => live;

/** Tensors that nobody disposed and the garbage collector had to free, since the start. */
export const leakedTensors = (): number => leaked;

export function openFrame(): Frame {
  const frame: Frame = new Set();
  frames.push(frame);
  return frame;
}

/** Removes a frame; false when one opened after it is still there. */
export function closeFrame(frame: Frame): boolean {
  const innermost = frames.at(-1) === frame;
  frames.splice(frames.lastIndexOf(frame), 1);
  return innermost;
}

export const innermostFrame = (): Frame | undefined => frames.at(-1);
