import { CapabilityError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import type { Family } from './family.js';
import { gpt2 } from './families/gpt2.js';

/** All families, in the order of the README's table. */
export const families: readonly Family[] = [gpt2];

/** The family of a `model_type`. @throws CapabilityError for one that is not here, with the nearest. */
export function familyOf(who: string, modelType: unknown): Family {
  const found = families.find(({ modelTypes }) => modelTypes.includes(modelType as string));
  if (found !== undefined) return found;
  const known = families.flatMap(({ modelTypes }) => modelTypes);
  throw new CapabilityError(
    `${who}: ${unknown('model_type', [modelType], known)}. A family of one file adds it: see src/pretrained/families.`,
  );
}
