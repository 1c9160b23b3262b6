import { attendWithin } from '../attention/definition.js';
import type { Mechanism } from '../attention/index.js';
import { OptionError } from '../core/errors.js';
import { checkValues } from '../core/requirements.js';
import { neededOfPooling, rowPooling, type RowPooling } from './row-pooling.js';

/** @throws OptionError where there is no sum of exponentials that a sink could be added to. */
export function checkSinks({ name, definition: { forward = attendWithin } }: Mechanism): void {
  if (forward === attendWithin) return;
  throw new OptionError(
    `Attention: sinks are added to the sum of a softmax over pairs, which ${name} has not; take flash or a pattern.`,
  );
}

/** @throws OptionError where keys of blocks cannot stand beside those of the mechanism in one softmax. */
export function checkGlobals(
  {
    mechanism,
    causal,
    softcap,
  }: { readonly mechanism: Mechanism; readonly causal: boolean; readonly softcap?: number | undefined },
  separate: boolean,
): void {
  const { name, definition } = mechanism;
  const { forward = attendWithin } = definition;
  if (!causal && !separate && softcap === undefined && forward === attendWithin) return;
  throw new OptionError(
    `Attention: globals are for attention to both sides of its own rows, exact on its pairs, without softcap; got ${name}${causal ? ', causal' : ''}. Take sliding-window or flash.`,
  );
}

/** @throws OptionError where pooled queries cannot be. */
export function checkPooling(
  {
    mechanism,
    causal,
    separate,
  }: { readonly mechanism: Mechanism; readonly causal: boolean; readonly separate: boolean },
  pooling: RowPooling,
): void {
  checkValues('Attention: pooling', pooling, rowPooling, neededOfPooling);
  if (causal || !separate) throw new OptionError('Attention: pooled queries take attention that is not causal.');
  if (mechanism.definition.exactness === 'exact') return;
  throw new OptionError(`Attention: pooled queries attend to all rows; got ${mechanism.name}. Use flash.`);
}

/** @throws OptionError where a projection by few weights cannot be. */
export function checkFactored(
  features: number,
  options: { readonly heads: number; readonly kvHeads?: number; readonly headDim?: number },
  separate: boolean,
): void {
  const { heads, kvHeads = heads, headDim = features / heads } = options;
  if (!separate && kvHeads === heads && heads * headDim === features) return;
  throw new OptionError(
    `Attention: projection factored is of rows that are queries and keys alike, as many of each as features ${features}; got ${heads} heads of ${headDim}, ` +
      `${kvHeads} of keys${separate ? ', of other rows' : ''}.`,
  );
}

export function checkHeads(features: number, heads: number, kvHeads: number, headDim: number): void {
  const reasons: string[] = [];
  if (!Number.isInteger(heads) || heads < 1) reasons.push(`heads must be a whole number of at least 1; got ${heads}`);
  if (!Number.isInteger(headDim) || headDim < 1) {
    reasons.push(`headDim must be a whole number of at least 1, by default features / heads; got ${headDim}`);
  }
  if (!Number.isInteger(kvHeads) || kvHeads < 1 || heads % kvHeads !== 0) {
    reasons.push(`kvHeads must divide heads; got ${kvHeads} of ${heads}`);
  }
  if (reasons.length > 0) throw new OptionError(`Attention: ${reasons.join('; ')} (features ${features}).`);
}
