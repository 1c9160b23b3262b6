import { expect } from 'vitest';
import type { LanguageModel } from '../../src/models/index.js';
import type { Transformer } from '../../src/models/transformer.js';
import { argmax, slice } from '../../src/ops/index.js';
import { noGradient, scope, tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';

/** Tokens that a session goes on with, each the likeliest, are those of passes over the whole text. */
export async function checkGreedy(
  model: LanguageModel,
  prompt: readonly number[],
  count: number,
  device: Device,
): Promise<void> {
  const decoder = model as Transformer;
  const session = decoder.session({ maxLength: prompt.length + count });
  try {
    const whole = [...prompt];
    const byStep: number[] = [];
    let next: readonly number[] = prompt;
    for (let i = 0; i < count; i++) {
      const stepped = scope(() => argmax(session.step(next), { axis: 0 }));
      const token = (await stepped.data())[0]!;
      stepped.dispose();
      const passed = scope(() =>
        noGradient(() => {
          const logits = decoder.logits(tensor(Int32Array.from(whole), [1, whole.length], { device }));
          return argmax(slice(logits, { axis: 1, start: whole.length - 1 }), { axis: 2 });
        }),
      );
      whole.push((await passed.data())[0]!);
      passed.dispose();
      byStep.push(token);
      next = [token];
    }
    expect(byStep).toEqual(whole.slice(prompt.length));
  } finally {
    session.dispose();
  }
}
