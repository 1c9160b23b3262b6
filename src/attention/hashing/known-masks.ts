import type { Mask } from '../../masks/index.js';

const known = new Map<string, Mask>();
const mostKnown = 64;

/** The same mask for the same facts, plain data that decide it, so that what was planned for it is found again. */
export function knownMask(kind: string, facts: object, build: () => Mask): Mask {
  const key = `${kind} ${JSON.stringify(facts)}`;
  const found = known.get(key) ?? build();
  if (known.size >= mostKnown) known.clear();
  known.set(key, found);
  return found;
}
