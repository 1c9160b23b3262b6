import type { Instruction, Program } from '../program.js';
import { accessOf, type Root, rootsOf } from './roots.js';
import { walk } from './walk.js';

/** What lanes may have done to memory of a root that the others have not seen yet. */
type State = Map<Root, { readonly read: boolean; readonly written: boolean }>;

/**
 * The accesses before which lanes that are separate invocations must wait for each other. A text is sequential: a load sees what any lane
 * stored before. So wherever memory is both read and written, a barrier stands before each access that meets an earlier one of another
 * kind: read after write, write after read, write after write.
 *
 * Roots are taken for memory of their own. Two arguments may be one buffer where a result is made in place, element by element: then a lane
 * reads and writes the same address.
 */
export function barriersOf(program: Program): ReadonlySet<Instruction> {
  const roots = rootsOf(program);
  const shared = sharedRoots(program, roots);
  const before = new Set<Instruction>();
  if (shared.size === 0) return before;
  let changed = true;

  const access = (instruction: Instruction, state: State): void => {
    const found = accessOf(instruction);
    if (!found) return;
    const touched = [...(roots.get(found.pointer.id) ?? [])].filter((root) => shared.has(root));
    if (touched.length === 0) return;
    const clash = touched.some((root) => state.get(root)?.written || (found.writes && state.get(root)?.read));
    if (clash && !before.has(instruction)) {
      before.add(instruction);
      changed = true;
    }
    if (before.has(instruction)) state.clear();
    for (const root of touched) {
      const had = state.get(root);
      state.set(root, { read: had?.read || !found.writes, written: had?.written || found.writes });
    }
  };

  const run = (body: readonly Instruction[], state: State): void => {
    for (const instruction of body) {
      if (instruction.do === 'loop') {
        twice(state, () => run(instruction.body, state));
      } else if (instruction.do === 'while') {
        twice(state, () => {
          run(instruction.condition, state);
          run(instruction.body, state);
        });
        // the last time, the condition ends the loop
        run(instruction.condition, state);
      } else if (instruction.do === 'if') {
        const other: State = new Map(state);
        run(instruction.then, state);
        run(instruction.otherwise, other);
        merge(state, other);
      } else {
        access(instruction, state);
      }
    }
  };
  while (changed) {
    changed = false;
    run(program.body, new Map());
  }
  return before;
}

/** A loop may run not at all, once, or again after itself. */
function twice(state: State, body: () => void): void {
  for (let round = 0; round < 2; round++) {
    const without: State = new Map(state);
    body();
    merge(state, without);
  }
}

function merge(into: State, other: State): void {
  for (const [root, { read, written }] of other) {
    const had = into.get(root);
    into.set(root, { read: had?.read || read, written: had?.written || written });
  }
}

/** Roots through which a program both reads and writes. */
function sharedRoots(program: Program, roots: ReadonlyMap<number, ReadonlySet<Root>>): ReadonlySet<Root> {
  const [read, written] = [new Set<Root>(), new Set<Root>()];
  walk(program.body, (instruction) => {
    const found = accessOf(instruction);
    if (!found) return;
    for (const root of roots.get(found.pointer.id) ?? []) (found.writes ? written : read).add(root);
  });
  return new Set([...read].filter((root) => written.has(root)));
}
