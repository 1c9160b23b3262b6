import { OptionError } from './errors.js';
import { unknown } from './names.js';
import { checkValue, checkValues, text } from './requirements.js';

export interface RegisterOptions {
  /** The file that defines it: kept in configurations, so that a model that is loaded without it can name it. */
  readonly plugin?: string;
}

interface Named {
  readonly name: string;
}

/** What is known by its name: of this package, and what a user registered. */
export class Registry<T extends Named> {
  readonly #registered = new Map<string, RegisterOptions & { readonly one: T }>();

  constructor(
    /** What one is called: `mechanism`. */
    readonly what: string,
    /** What makes one: `defineAttention`. */
    readonly maker: string,
    readonly ofPackage: readonly T[],
    readonly isOne: (value: unknown) => value is T,
  ) {}

  /** Those of this package, then those that were registered. */
  known(): readonly T[] {
    return [...this.ofPackage, ...[...this.#registered.values()].map(({ one }) => one)];
  }

  find(name: string): T | undefined {
    return this.known().find((one) => one.name === name);
  }

  /** The one of a name. @throws OptionError for an unknown one, with the nearest. */
  get(name: string): T {
    checkValue(this.what, 'name', name, text);
    const found = this.find(name);
    if (found === undefined) throw new OptionError(`${this.what}: ${this.unknown(name)}.`);
    return found;
  }

  /** Why names are refused. */
  unknown(...names: readonly string[]): string {
    return unknown(
      this.what,
      names,
      this.known().map(({ name }) => name),
    );
  }

  /** The file that a registered one was said to come from. */
  pluginOf(name: string): string | undefined {
    return this.#registered.get(name)?.plugin;
  }

  /**
   * Makes one known by its name; returns a function that takes the name back. `who` is the function that a user called.
   *
   * @throws OptionError for a name that is taken, or for what is none.
   */
  register(who: string, own: unknown, options: RegisterOptions): () => void {
    checkValues(who, options, { plugin: text });
    if (!this.isOne(own)) throw new OptionError(`${who}: takes what ${this.maker} returns; ${whatIs(own)}.`);
    const { name } = own;
    const other = this.find(name);
    if (other !== undefined && other !== own) {
      const where = this.pluginOf(name);
      const whose = this.ofPackage.includes(other) ? ' in subquad' : where === undefined ? '' : ` in ${where}`;
      throw new OptionError(`${who}: there is a ${this.what} "${name}"${whose} already; take another name.`);
    }
    if (other === undefined) this.#registered.set(name, { one: own, ...options });
    return () => {
      if (other === undefined && this.#registered.get(name)?.one === own) this.#registered.delete(name);
    };
  }

  /** Why the one that a configuration names cannot be had, with the file it was written with; undefined if it can. `how` registers one. */
  reasonAgainst(name: string, plugin: string | undefined, how: string): string | undefined {
    const found = this.find(name);
    if (found === undefined) {
      return plugin === undefined
        ? `${this.unknown(name)}; one of your own is known by --plugin FILE or ${how}`
        : `${this.what} "${name}" came from ${plugin}, which is not loaded: pass --plugin ${plugin}, or ${how} it first`;
    }
    if (plugin === undefined || !this.ofPackage.includes(found)) return undefined;
    return `${this.what} "${name}" came from ${plugin}, and subquad has another of this name: rename one of them`;
  }
}

/** One of another copy of the package has tensors, devices and errors that are strange here. */
function whatIs(value: unknown): string {
  const { name } = ((value as { readonly definition?: unknown } | null | undefined)?.definition ??
    {}) as Partial<Named>;
  return typeof name === 'string'
    ? `"${name}" comes from another copy of subquad, so import both from one`
    : `got ${value === null ? 'null' : typeof value}`;
}
