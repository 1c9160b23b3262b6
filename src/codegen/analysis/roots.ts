import type { Instruction, Program, Value } from '../program.js';
import { walk } from './walk.js';

/** Where a pointer comes from: a parameter by its index, this thread's workspace, or an address that lay in memory. */
export type Root = number | 'scratch' | 'loaded';

/** The roots of every pointer of a program, by the id of its local: variables, which may be exchanged in loops, have several. */
export function rootsOf(program: Program): ReadonlyMap<number, ReadonlySet<Root>> {
  const roots = new Map<number, Set<Root>>([[1, new Set<Root>(['scratch'])]]);
  let changed = true;
  const add = ({ id }: Value, root: Root): void => {
    const set = roots.get(id) ?? new Set<Root>();
    if (set.has(root)) return;
    roots.set(id, set.add(root));
    changed = true;
  };
  const flow = (to: Value, from: Value): void => {
    for (const root of roots.get(from.id) ?? []) add(to, root);
  };
  const visit = (instruction: Instruction): void => {
    if (instruction.do === 'parameter' && instruction.to.kind === 'pointer') add(instruction.to, instruction.index);
    if (instruction.do === 'load' && instruction.access === 'pointer') add(instruction.to, 'loaded');
    if (instruction.do === 'assign' && instruction.to.kind === 'pointer') flow(instruction.to, instruction.value);
    if (instruction.do === 'operation' && instruction.to.kind === 'pointer') {
      for (const arg of instruction.args) if (arg.kind === 'pointer') flow(instruction.to, arg);
    }
  };
  while (changed) {
    changed = false;
    walk(program.body, visit);
  }
  return roots;
}

/** The memory that an instruction reads or writes: its pointer, and which of both. */
export function accessOf(instruction: Instruction): { readonly pointer: Value; readonly writes: boolean } | undefined {
  const { do: what } = instruction;
  if (what === 'load' || what === 'loadStrided' || what === 'gather')
    return { pointer: instruction.from, writes: false };
  if (what === 'store' || what === 'storeStrided') return { pointer: instruction.to, writes: true };
  return undefined;
}
