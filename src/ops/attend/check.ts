import { describe } from '../../core/describe.js';
import { CapabilityError, OptionError, ShapeError } from '../../core/errors.js';
import { checkValue, flag, fraction, reasonsAgainst, refuse, wholeFrom } from '../../core/requirements.js';
import { show } from '../../core/shape.js';
import { Mask, type AttendShape } from '../../masks/index.js';
import { Score } from '../../scores/index.js';
import { commonDevice, someTensor, type Tensor } from '../../tensor/tensor.js';
import type { AttendOptions } from './options.js';

/** The largest head size the kernels are built for. */
const largestHead = 256;

/** The shape of a call. @throws ShapeError, OptionError or CapabilityError with everything that does not fit. */
export function checkInputs(
  who: string,
  q: Tensor,
  k: Tensor,
  v: Tensor,
): AttendShape & { readonly D: number; readonly E: number } {
  for (const [name, x] of Object.entries({ q, k, v })) checkValue(who, name, x, someTensor);
  commonDevice(who, [q, k, v]);
  const got = `got q=${show(q.shape)}, k=${show(k.shape)}, v=${show(v.shape)}`;
  if (q.rank !== 4 || k.rank !== 4 || v.rank !== 4) {
    throw new ShapeError(`${who}: q must be [B,H,L,D], k [B,G,S,D] and v [B,G,S,E]; ${got}.`);
  }
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, S] = k.shape as [number, number, number, number];
  const E = v.shape[3]!;
  const faults = [
    (k.shape[0] !== B || v.shape[0] !== B) && 'q, k and v must have one batch size B',
    k.shape[3] !== D && 'k must have the head size D of q',
    (v.shape[1] !== G || v.shape[2] !== S) && 'v must have the heads G and the length S of k',
    H % G !== 0 && `the ${G} key/value heads must divide the ${H} query heads`,
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw new ShapeError(`${who}: ${faults.join('; ')}; ${got}.`);
  if (D > largestHead || E > largestHead) {
    throw new CapabilityError(`${who}: head sizes D and E are at most ${largestHead}; ${got}. Use more heads.`);
  }
  const kinds = [...new Set([q.dtype, k.dtype, v.dtype])];
  if (kinds.length > 1 || !['f32', 'f16', 'bf16'].includes(kinds[0]!)) {
    throw new OptionError(
      `${who}: q, k and v must share one float dtype; got q=${q.dtype}, k=${k.dtype}, v=${v.dtype}. Use cast.`,
    );
  }
  return { B, H, G, L, S, D, E };
}

export function checkSettings(who: string, options: Omit<AttendOptions, 'score'>): void {
  const { causal, mask, scale, dropout } = options;
  if (causal !== undefined) checkValue(who, 'causal', causal, flag);
  if (mask !== undefined && !(mask instanceof Mask)) {
    throw new OptionError(`${who}: mask must be a Mask, such as within({ radius: 256 }) or mask(({ q, k }) => …).`);
  }
  if (scale !== undefined && !Number.isFinite(scale)) {
    throw new OptionError(`${who}: scale must be a finite number; got ${describe(scale)}. Leave it out for 1/√D.`);
  }
  if (dropout === undefined) return;
  const faults = reasonsAgainst(dropout, { rate: fraction, seed: wholeFrom(0) }, ['rate', 'seed']);
  refuse(
    who,
    faults.map((reason) => `dropout.${reason}`),
  );
}

export function checkScore(who: string, score: unknown): void {
  if (score === undefined || score instanceof Score) return;
  throw new OptionError(`${who}: score must be a Score, such as softcap(30) or score(({ score }) => …).`);
}
