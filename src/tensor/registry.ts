/** What scopes dispose. */
export interface Disposable {
  dispose(): void;
}

/** The tensors created while one `scope` runs. */
export interface ScopeFrame {
  readonly owned: Set<Disposable>;
}

const frames: ScopeFrame[] = [];
let live = 0;
let leaked = 0;

/** Counts a new tensor and gives it to the innermost scope. */
export function register(tensor: Disposable): ScopeFrame | undefined {
  live++;
  const frame = frames.at(-1);
  frame?.owned.add(tensor);
  return frame;
}

export function unregister(): void {
  live--;
}

/** A tensor was collected without being disposed. */
export function countLeak(): void {
  live--;
  leaked++;
}

/** Tensors that were created and not disposed. */
export const liveTensors = (): number => live;

/** Tensors that were forgotten and had to be freed by the garbage collector, since the start. */
export const leakedTensors = (): number => leaked;

export function pushFrame(): ScopeFrame {
  const frame: ScopeFrame = { owned: new Set() };
  frames.push(frame);
  return frame;
}

/** Removes a frame; false when frames opened after it are still there. */
export function popFrame(frame: ScopeFrame): boolean {
  const innermost = frames.at(-1) === frame;
  frames.splice(frames.lastIndexOf(frame), 1);
  return innermost;
}

export const currentFrame = (): ScopeFrame | undefined => frames.at(-1);
