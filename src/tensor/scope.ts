import { OptionError } from '../core/errors.js';
import { callable, checkValue } from '../core/requirements.js';
import { closeFrame, innermostFrame, openFrame, type Frame } from './registry.js';
import { internals, moveTo, Tensor } from './tensor.js';

/**
 * Runs `body` and disposes every tensor created meanwhile, except those in the result: a tensor, or tensors anywhere in
 * arrays, objects, maps and sets, but not behind a getter. They then belong to the scope around this one, if any. On an
 * error everything is disposed. `body` may be async; the scope then ends when its promise settles, and no other scope may be opened
 * outside it in the meantime.
 *
 * @throws OptionError when async scopes overlap.
 *
 * @example
 * const x = tensor([3], [1], { device });
 * const y = scope(() => mul(add(x, x), x)); // [18]
 */
export function scope<T>(body: () => T): T {
  checkValue('scope', 'body', body, callable);
  const frame = openFrame();
  let result: T;
  try {
    result = body();
  } catch (error) {
    end(frame, undefined);
    throw error;
  }
  if (!isPromise(result)) {
    end(frame, result);
    return result;
  }
  return result.then(
    (value: unknown) => {
      end(frame, value);
      return value;
    },
    (error: unknown) => {
      end(frame, undefined);
      throw error;
    },
  ) as T;
}

/** Takes tensors out of every scope: whoever keeps them disposes them. */
export function keep<T>(value: T): T {
  for (const tensor of tensorsIn(value)) moveTo(tensor, undefined);
  return value;
}

/** Disposes the tensors anywhere in a value. */
export function disposeAll(value: unknown): void {
  for (const tensor of tensorsIn(value)) tensor.dispose();
}

function end(frame: Frame, result: unknown): void {
  const innermost = closeFrame(frame);
  if (innermost) {
    const outer = innermostFrame();
    // most scopes give one tensor, or made none: nothing is looked through for those
    const kept = result instanceof Tensor ? [result] : frame.size > 0 ? tensorsIn(result) : [];
    for (const tensor of kept) if (tensor[internals].frame === frame) moveTo(tensor, outer);
  }
  for (const tensor of frame) tensor.dispose();
  if (!innermost) {
    throw new OptionError(
      'scope: an async scope ended while one opened after it was still running; await one before starting the next.',
    );
  }
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** The tensors anywhere in a value, each once. */
export function tensorsIn(value: unknown): Set<Tensor> {
  const found = new Set<Tensor>();
  const seen = new Set<unknown>();
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== 'object' || next === null || ArrayBuffer.isView(next) || seen.has(next)) continue;
    seen.add(next);
    if (next instanceof Tensor) {
      found.add(next);
      continue;
    }
    // one by one: an array may be longer than an argument list
    if (next instanceof Map) for (const [key, value] of next) pending.push(key, value);
    else if (next instanceof Set || Array.isArray(next)) for (const value of next) pending.push(value);
    else pushFields(next, pending);
  }
  return found;
}

/** Adds what an object holds: what an accessor would work out when asked is not asked for. */
function pushFields(value: object, to: unknown[]): void {
  for (const key of Object.keys(value)) {
    const field = Object.getOwnPropertyDescriptor(value, key)!.value as unknown;
    if (typeof field === 'object') to.push(field);
  }
}
