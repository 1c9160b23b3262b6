import { expect } from 'vitest';
import type { Device } from '../../src/devices/index.js';
import type { EncoderDecoder } from '../../src/models/index.js';
import { argmax, slice } from '../../src/ops/index.js';
import { noGradient, scope } from '../../src/tensor/index.js';
import { tokensOf } from '../models/check.js';

export interface GreedyPairs {
  readonly device: Device;
  readonly sources: readonly (readonly number[])[];
  /** The token that texts begin with. */
  readonly start: number;
  readonly count: number;
  /** Global tokens of each source. */
  readonly sourceGlobals?: readonly (readonly number[])[];
}

/** Tokens that a session goes on with after sources, each the likeliest, are those of passes over all of it. */
export async function checkGreedyPairs(
  model: EncoderDecoder,
  { device, sources, start, count, sourceGlobals }: GreedyPairs,
): Promise<void> {
  const session = model.session({
    maxLength: 1 + count,
    rows: sources.length,
    sources,
    ...(sourceGlobals && { sourceGlobals }),
  });
  const byStep = sources.map((): number[] => [start]);
  for (let i = 0; i < count; i++) {
    const next = scope(() => argmax(session.step(byStep.map((text) => text.slice(-1))), { axis: 1 }));
    (await next.data()).forEach((token, row) => byStep[row]!.push(token));
    next.dispose();
  }
  session.dispose();
  for (const [row, source] of sources.entries()) {
    const whole = [start];
    for (let i = 0; i < count; i++) {
      const next = scope(() =>
        noGradient(() => {
          const globals = sourceGlobals && { sourceGlobals: [sourceGlobals[row]!] };
          const logits = model.logits(tokensOf(device, [...source]), tokensOf(device, whole), globals);
          return argmax(slice(logits, { axis: 1, start: -1 }), { axis: 2 });
        }),
      );
      whole.push((await next.data())[0]!);
      next.dispose();
    }
    expect(byStep[row], `row ${row}`).toEqual(whole);
  }
}
