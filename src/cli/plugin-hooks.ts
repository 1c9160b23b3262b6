import type { ResolveHook } from 'node:module';

/**
 * What `subquad` and `subquad/…` mean, wherever they are imported: this copy of the package. A plugin then needs none beside it, and
 * its tensors are those of the command. A module of its own, since Node loads it in a thread of its own.
 */
export const resolve: ResolveHook = (specifier, context, next) =>
  next(specifier, /^subquad(\/|$)/.test(specifier) ? { ...context, parentURL: import.meta.url } : context);
