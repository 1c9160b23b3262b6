import { defineAttention, type Decoder, type DecoderOptions } from '../../attention/index.js';
import { reshape } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { NamedTensors } from '../outcome.js';
import type { KindDefinition } from '../kind.js';

/** The next rows `[B, L, features]` of a mixer with a recurrence, and its state after them. */
export type MixerStep = (x: Tensor, state: NamedTensors) => { readonly stream: Tensor; readonly state: NamedTensors };

/**
 * A decoder of a mixer with a recurrence: of attention whose only head are the rows, q, k and v alike, `[B, 1, L, features]`. Rows of
 * different lengths, forks, states that are exported, and errors are the decoder's.
 */
export function mixerDecoder(definition: KindDefinition<never>, step: MixerStep, options: DecoderOptions): Decoder {
  const { name, summary, paper, formula } = definition;
  const rowsOf = (v: Tensor): Tensor => reshape(v, [v.shape[0]!, v.shape[2]!, v.shape[3]!]);
  const advance = (v: Tensor, state: NamedTensors = {}): { readonly out: Tensor; readonly state: NamedTensors } => {
    const next = step(rowsOf(v), state);
    return { out: reshape(next.stream, v.shape), state: next.state };
  };
  return defineAttention({
    name,
    family: 'mixers',
    level: 'mixer',
    summary,
    paper,
    formula,
    complexity: 'n',
    exactness: 'learned',
    options: {},
    supports: { causal: 'only', cross: false, padding: false, score: false, groupedHeads: false, decode: 'recurrent' },
    cost: () => ({ multiplyAdds: 0 }),
    forward: ({ v }) => ({ out: advance(v).out }),
    recurrence: { step: ({ v }, state) => advance(v, state) },
  }).decoder({ ...options, causal: true });
}
