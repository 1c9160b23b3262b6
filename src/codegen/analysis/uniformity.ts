import type { Instruction, Operation, Program, Value } from '../program.js';
import { walk } from './walk.js';

/** Operations in which lanes see each other. */
const across: ReadonlySet<Operation> = new Set<Operation>(['lane', 'any', 'reduceAdd', 'reduceMax', 'reduceMin']);

export const crossesLanes = (instruction: Instruction): boolean =>
  instruction.do === 'shuffle' || (instruction.do === 'operation' && across.has(instruction.op));

/** The scalar values that decide how often, or whether, what is inside an instruction runs. */
function conditionsOf(instruction: Instruction): readonly Value[] {
  if (instruction.do === 'loop') return [instruction.start, instruction.end];
  return instruction.do === 'while' || instruction.do === 'if' ? [instruction.test] : [];
}

/**
 * The scalar loads and the operations across lanes whose result must be uniform by proof: one lane finds it and hands it to all.
 *
 * WGSL takes a barrier only where all invocations provably come, and nothing that is read from writable memory proves it. So the conditions
 * around every barrier are followed back to the loads that they are computed from. Those become barriers themselves, with conditions around
 * them in turn.
 */
export function uniformLoads(program: Program, barriers: ReadonlySet<Instruction>): ReadonlySet<Instruction> {
  const uniform = new Set<Instruction>();
  const sources = new Map<number, Set<Value>>();
  const loads = new Map<number, Instruction>();
  /** What surrounds each place where a value comes from. */
  const places = new Map<number, Set<Instruction>>();
  const from = (to: Value, ...values: readonly Value[]): void => {
    const set = sources.get(to.id) ?? new Set();
    for (const value of values) set.add(value);
    sources.set(to.id, set);
  };
  const barrierPlaces: { readonly at: Instruction; readonly around: readonly Instruction[] }[] = [];
  walk(program.body, (instruction, around) => {
    if (instruction.do === 'load' || crossesLanes(instruction)) {
      barrierPlaces.push({ at: instruction, around });
      if ('to' in instruction) loads.set(instruction.to.id, instruction);
    } else if (barriers.has(instruction)) barrierPlaces.push({ at: instruction, around });
    if (instruction.do === 'operation' && !crossesLanes(instruction)) from(instruction.to, ...instruction.args);
    if (instruction.do === 'loop') from(instruction.counter, instruction.start, instruction.end);
    if (instruction.do === 'assign') {
      from(instruction.to, instruction.value);
      // where it is changed depends on what surrounds the change
      const set = places.get(instruction.to.id) ?? new Set();
      for (const outer of around) set.add(outer);
      places.set(instruction.to.id, set);
    }
  });

  const needed = new Set<number>();
  const need = (value: Value): void => {
    if (needed.has(value.id)) return;
    needed.add(value.id);
    const load = loads.get(value.id);
    if (load) uniform.add(load);
    for (const source of sources.get(value.id) ?? []) need(source);
    for (const outer of places.get(value.id) ?? []) for (const condition of conditionsOf(outer)) need(condition);
  };
  let size = -1;
  while (size !== uniform.size) {
    size = uniform.size;
    for (const { at, around } of barrierPlaces) {
      const waits = barriers.has(at) || crossesLanes(at) || uniform.has(at);
      if (waits) for (const outer of around) for (const condition of conditionsOf(outer)) need(condition);
    }
  }
  return uniform;
}
