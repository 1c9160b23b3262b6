import {
  bounds,
  constant,
  differences,
  fold,
  freeVariables,
  separate,
  simplify,
  substitute,
  variable,
  type Expression,
} from '../codegen/expression/index.js';
import { memoised } from '../core/memo.js';
import { boxSource } from './boxes.js';
import { comparisonSource } from './comparisons.js';
import { EMPTY, FULL, invert, merge, Runs } from './runs.js';
import { rowSource } from './row-source.js';
import { constantSource, differenceSource, keySource, querySource, type Geometry, type Source } from './sources.js';

/** What part of a mask varies with: one axis, a comparison of a query's value with a key's, or anything. */
export type Axis = 'none' | 'q' | 'k' | 'd' | 'both';

interface Part {
  readonly kind: 'part';
  readonly axis: Axis;
  readonly expression: Expression;
}

/** A mask taken apart at and, or and not into parts that are classified each in its own way. */
export type MaskTree =
  | Part
  | { readonly kind: 'not'; readonly of: MaskTree }
  | { readonly kind: 'and' | 'or'; readonly of: readonly MaskTree[] };

/** Takes a boolean expression over b, h, q and k apart. */
export function maskTree(expression: Expression): MaskTree {
  return tree(differences(expression));
}

function tree(e: Expression): MaskTree {
  const axis = axisOf(e);
  if (axis !== 'both') return { kind: 'part', axis, expression: e };
  if (e.op === 'not') return { kind: 'not', of: tree(e.args[0]!) };
  if (e.op === 'select') {
    const [c, a, b] = e.args as readonly [Expression, Expression, Expression];
    return tree(fold('or', fold('and', c, a), fold('and', fold('not', c), b)));
  }
  if (e.op !== 'and' && e.op !== 'or') return { kind: 'part', axis, expression: e };
  // parts along one axis are one part: together they are classified exactly
  const grouped = new Map<string, Expression>();
  const alone: MaskTree[] = [];
  for (const term of flatten(e, e.op)) {
    const along = axisOf(term);
    const group = grouped.get(along);
    if (along === 'both') alone.push(tree(term));
    else grouped.set(along, group === undefined ? term : fold(e.op, group, term));
  }
  // simple parts first: what they decide need not be worked out for the others
  const terms = [...[...grouped.values()].map(tree), ...alone];
  return {
    kind: e.op,
    of: [...terms.filter((term) => term.kind === 'part'), ...terms.filter((term) => term.kind !== 'part')],
  };
}

function axisOf(e: Expression): Axis {
  const names = [...freeVariables(e)].filter((name) => name !== 'b' && name !== 'h');
  return names.length === 0 ? 'none' : names.length === 1 ? (names[0] as Axis) : 'both';
}

/** The terms of a chain of one operation. */
function flatten(e: Expression, op: 'and' | 'or'): Expression[] {
  return e.op === op ? e.args.flatMap((arg) => flatten(arg, op)) : [e];
}

const comparable: ReadonlySet<string> = new Set(['lt', 'le', 'gt', 'ge', 'eq', 'ne']);
const [q, k] = [variable('q', 'i32'), variable('k', 'i32')];

/** The sides of a comparison of a query's value with a key's, with d written out. */
function separated(part: Expression): ReturnType<typeof separate> {
  return comparable.has(part.op) ? separate(substitute(part, { d: q.sub(k) }), new Set(['q'])) : undefined;
}

/** Does classifying the plan bound boxes of tiles, rather than values along single axes? */
export function needsBoxes(p: MaskTree): boolean {
  if (p.kind === 'part') return p.axis === 'both' && separated(p.expression) === undefined;
  return p.kind === 'not' ? needsBoxes(p.of) : p.of.some(needsBoxes);
}

/** Does a row cost as much as it has columns, however few its runs? So it is for the order of two tables' entries. */
export function scansRows(p: MaskTree): boolean {
  if (p.kind === 'part') return p.axis === 'both' && p.expression.op !== 'eq' && p.expression.op !== 'ne';
  return p.kind === 'not' ? scansRows(p.of) : p.of.some(scansRows);
}

/** Makes sources of plans for given b and h, and keeps those of parts that do not depend on them. */
export class Sources {
  readonly #g: Geometry;

  /** `fewRows`: of single queries and keys, where what no single axis decides is not worth preparing for every row. */
  constructor(
    g: Geometry,
    readonly fewRows = false,
  ) {
    this.#g = g;
  }

  of(p: MaskTree, b: number, h: number): Source {
    if (p.kind === 'part') return this.#part(p, b, h);
    const out = new Runs();
    if (p.kind === 'not') {
      const inner = this.of(p.of, b, h);
      return { row: (tile, start, end) => invert(inner.row(tile, start, end), out) };
    }
    return joined(
      p.kind,
      p.of.map((term) => this.of(term, b, h)),
    );
  }

  // by place in the plan, not by expression: a source serves one caller at a time
  readonly #part = memoised(
    ({ expression }: Part, b: number, h: number): Source =>
      this.#make(simplify(substitute(expression, { b: constant(b, 'i32'), h: constant(h, 'i32') }))),
    {
      by: (part, b, h) => {
        const names = freeVariables(part.expression);
        return [part, names.has('b') && b, names.has('h') && h];
      },
    },
  );

  #make(e: Expression): Source {
    const axis = axisOf(e);
    if (axis === 'none') {
      const [low, high] = bounds(e, {});
      return constantSource(this.#g, low + high);
    }
    if (axis === 'q') return querySource(e, this.#g);
    if (axis === 'k') return keySource(e, this.#g);
    if (axis === 'd') return differenceSource(e, this.#g);
    if (this.fewRows) return rowSource(e, this.#g);
    const sides = separated(e);
    return sides === undefined ? boxSource(e, this.#g) : comparisonSource(e.op, sides, this.#g);
  }
}

function joined(how: 'and' | 'or', sources: readonly Source[]): Source {
  const outs = sources.map(() => new Runs());
  const decided = how === 'and' ? EMPTY : FULL;
  return {
    row(tile, start, end) {
      let runs = sources[0]!.row(tile, start, end);
      for (let i = 1; i < sources.length; i++) {
        // the stretch that is not yet decided throughout
        const last = runs.count - 1;
        const from = runs.kinds[0] === decided ? Math.max(start, runs.ends[0]!) : start;
        const to = last > 0 && runs.kinds[last] === decided ? Math.min(end, runs.ends[last - 1]!) : end;
        if (from >= to) break;
        runs = merge(how, runs, sources[i]!.row(tile, from, to), outs[i]!, start, end);
      }
      return runs;
    },
  };
}
