import { checkValue } from '../core/requirements.js';
import { Module, someModules } from './module.js';

/** Modules by number: `layers.0`, `layers.1`, …. */
export class ModuleList<M extends Module> extends Module {
  constructor(readonly items: readonly M[]) {
    super();
    checkValue('ModuleList', 'items', items, someModules);
    items.forEach((item, i) => this.child(String(i), item));
  }
}
