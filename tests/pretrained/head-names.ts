import { createModel, readConfig } from '../../src/models/index.js';
import { weightMap } from '../../src/nn/index.js';
import { readFields, type Theirs } from '../../src/pretrained/fields.js';
import type { Family } from '../../src/pretrained/family.js';
import { disposeAll } from '../../src/tensor/index.js';
import type { OnDevice } from '../support/devices.js';
import { fill } from '../nn/check.js';

/** The tensors that a file of a class holds, as the family's map writes them, by name with their shapes. */
export function fileShapes(
  family: Family,
  className: string,
  json: Readonly<Record<string, unknown>>,
  { device }: OnDevice,
): Record<string, readonly number[]> {
  const { values, reasons } = readFields(json, family.fields);
  if (reasons.length > 0) throw new Error(reasons.join('; '));
  const theirs = values as Theirs;
  const labels = Object.keys(theirs.id2label as object).length;
  const cls = { name: className, task: family.classes[className]!.task, prefix: family.prefix ?? '', labels };
  const config = readConfig(family.config(theirs, cls));
  const { rules, ties } = family.map(theirs, cls, config);
  const model = createModel(config);
  fill(model, device, 3);
  const all = weightMap(rules, ties ? { ties } : {}).toTheirs(model.stateDict());
  const shapes = [...all].map(([name, { shape }]) => [name, shape] as const);
  disposeAll(all);
  model.dispose();
  return Object.fromEntries(shapes);
}

/**
 * The tensors that a file of a class holds beside those of the base model, as the family's map writes them, by name with their shapes:
 * what a class with a head, of which there is no golden file, would read.
 */
export function headNames(
  family: Family,
  className: string,
  json: Readonly<Record<string, unknown>>,
  on: OnDevice,
): Record<string, readonly number[]> {
  const shapes = Object.entries(fileShapes(family, className, json, on));
  return Object.fromEntries(shapes.filter(([name]) => !name.startsWith(family.prefix ?? '')));
}
