import { checkValue } from '../core/requirements.js';
import { Module, someModules } from './module.js';

/** Modules by number: `layers.0`, `layers.1`, …; one that stands there again has its first number. */
export class ModuleList<M extends Module> extends Module {
  constructor(readonly items: readonly M[]) {
    super();
    checkValue('ModuleList', 'items', items, someModules);
    items.forEach((item, i) => {
      if (items.indexOf(item) === i) this.child(String(i), item);
    });
  }
}
