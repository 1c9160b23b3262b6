import type { Kernel } from '../codegen/kernel.js';
import { RehearsalDevice, type DeviceLike } from '../devices/index.js';
import type { ModelConfig } from './config.js';
import { createModel, openSession } from './create.js';
import type { SessionOptions } from './text-session.js';

export interface RehearseSessionOptions {
  /** The device that is rehearsed for. */
  readonly like: DeviceLike;
  readonly session: SessionOptions;
  /** Tokens of the first step. */
  readonly prompt: number;
}

/**
 * The kernels of a session's first steps, a prompt and then a token, without computing them: `await device.compileAll(kernels)`
 * compiles them on all processors, where steps would compile one after the other.
 *
 * @throws as `createModel` and `openSession`.
 */
export function rehearseSession(config: ModelConfig, options: RehearseSessionOptions): readonly Kernel[] {
  const { like, session: asked, prompt } = options;
  const device = new RehearsalDevice({ like, countPairs: false });
  const model = createModel(config).initialise({ device, seed: 0 });
  try {
    const session = openSession(model, asked);
    try {
      for (const tokens of [prompt, 1]) {
        if (session.length + tokens > asked.maxLength) break;
        const rows = Array.from({ length: session.rows }, () => new Int32Array(tokens));
        session.step(session.rows === 1 ? rows[0]! : rows).dispose();
      }
      return device.kernels;
    } finally {
      session.dispose();
    }
  } finally {
    model.dispose();
  }
}
