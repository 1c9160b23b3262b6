import { CapabilityError } from './errors.js';

/** The built-in modules of Node that the library uses outside the native device. */
interface Builtins {
  readonly 'node:crypto': typeof import('node:crypto');
  readonly 'node:fs': typeof import('node:fs');
  readonly 'node:fs/promises': typeof import('node:fs/promises');
  readonly 'node:os': typeof import('node:os');
  readonly 'node:path': typeof import('node:path');
  readonly 'node:url': typeof import('node:url');
  readonly 'node:v8': typeof import('node:v8');
  readonly 'node:worker_threads': typeof import('node:worker_threads');
  readonly 'node:zlib': typeof import('node:zlib');
}

const host = globalThis as unknown as {
  readonly process?: { readonly getBuiltinModule?: (id: string) => unknown };
};

/** Whether this is Node, or a runtime that has its modules. */
export const isNode = (): boolean => host.process?.getBuiltinModule !== undefined;

/** A built-in module of Node, or undefined elsewhere. No import, which a page cannot load and bundlers refuse. */
export function nodeModule<Id extends keyof Builtins>(id: Id): Builtins[Id] | undefined {
  return host.process?.getBuiltinModule?.(id) as Builtins[Id] | undefined;
}

/**
 * The same for files that a page may load but not use: there, each function of the module refuses.
 *
 * @throws CapabilityError when a function is called outside Node.
 */
export function requireNode<Id extends keyof Builtins>(id: Id): Builtins[Id] {
  const refuse = (_: object, name: string | symbol) => (): never => {
    throw new CapabilityError(
      `${String(name)} of ${id}: only Node has files and what belongs to them; in a page, fetch the bytes and hand them over.`,
    );
  };
  return nodeModule(id) ?? (new Proxy({}, { get: refuse }) as Builtins[Id]);
}
