import { widened } from '../cast.js';
import type { AttendInputs } from './bind.js';

/** The same numbers as the kernels read them, f32. Not on the tape. */
export const inFull = ({ q, k, v }: AttendInputs): AttendInputs => ({ q: widened(q), k: widened(k), v: widened(v) });
