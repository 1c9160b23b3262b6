import type { Instruction } from '../program.js';

/** The blocks inside an instruction: of a `while` the condition first. */
export function blocksOf(instruction: Instruction): readonly (readonly Instruction[])[] {
  if (instruction.do === 'loop') return [instruction.body];
  if (instruction.do === 'while') return [instruction.condition, instruction.body];
  return instruction.do === 'if' ? [instruction.then, instruction.otherwise] : [];
}

/** All instructions, with those that they lie in, outermost first. */
export function walk(
  body: readonly Instruction[],
  visit: (instruction: Instruction, around: readonly Instruction[]) => void,
  around: readonly Instruction[] = [],
): void {
  for (const instruction of body) {
    visit(instruction, around);
    const inside = blocksOf(instruction);
    if (inside.length > 0) for (const block of inside) walk(block, visit, [...around, instruction]);
  }
}
