import { Module } from './module.js';

/** Modules by number: `layers.0`, `layers.1`, …. */
export class ModuleList<M extends Module> extends Module {
  constructor(readonly items: readonly M[]) {
    super();
    items.forEach((item, i) => this.child(String(i), item));
  }
}
