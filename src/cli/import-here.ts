import * as nodeModule from 'node:module';
import { resolve } from './plugin-hooks.js';

/** Makes this copy of the package the one that plugins import. */
export function importHere(): void {
  // newer Node has hooks without a thread, and will do without the others
  const { registerHooks } = nodeModule as { readonly registerHooks?: (hooks: { readonly resolve: unknown }) => void };
  if (registerHooks) registerHooks({ resolve });
  else nodeModule.register(new URL('./plugin-hooks.js', import.meta.url));
}
