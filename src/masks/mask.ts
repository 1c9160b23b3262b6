import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { callable, checkValue, text } from '../core/requirements.js';
import {
  Bool,
  bounds,
  constant,
  hostData,
  rebuild,
  simplify,
  topological,
  wrap,
  type Expression,
} from '../codegen/expression/index.js';
import { checkPlace, checkTables, checkVariables, place, ranges, type AttendShape, type Place } from './place.js';

/**
 * Which query–key pairs may see each other: a rule that becomes a boolean expression for each shape.
 *
 * `causal().and(within({ radius: 256 })).or(global([0]))` — masks combine freely and cost nothing until used.
 */
export class Mask {
  readonly #name: string;
  readonly #build: (shape: AttendShape) => Bool;

  /** `name` is the code that builds the mask: it names the mask in messages and reports. */
  constructor(name: string, build: (shape: AttendShape) => Bool) {
    checkValue('Mask', 'name', name, text);
    checkValue('Mask', 'build', build, callable);
    this.#name = name;
    this.#build = build;
  }

  /** Pairs that both masks allow. */
  and(other: Mask): Mask {
    return this.#combine('and', other);
  }

  /** Pairs that either mask allows. */
  or(other: Mask): Mask {
    return this.#combine('or', other);
  }

  /** Pairs that this mask forbids. */
  not(): Mask {
    return new Mask(`${this.#name}.not()`, (shape) => this.#build(shape).not());
  }

  /**
   * The rule for one shape (the same object for the same shape), over the variables b, h, q, k; parts that the shape decides are literals.
   *
   * @throws OptionError where the rule is no boolean of b, h, q and k, or reads a table on a device;
   * ShapeError where a table or option does not fit the shape.
   */
  expression(shape: AttendShape): Bool {
    checkPlace(`mask ${this.#name}`, shape);
    return this.#instance(shape);
  }

  // so that tables, compiled kernels and tile maps of a mask used again are found by identity
  readonly #instance = memoised((shape: AttendShape): Bool => this.#instantiate(shape), {
    by: ({ B, H, L, S }) => [B, H, L, S],
    most: 16,
  });

  #instantiate(shape: AttendShape): Bool {
    const built: unknown = this.#build(shape);
    if (!(built instanceof Bool)) {
      throw new OptionError(`mask ${this.#name}: must return a boolean expression; got ${describe(built)}.`);
    }
    checkVariables(`mask ${this.#name}`, built, ['b', 'h', 'q', 'k']);
    checkTables(`mask ${this.#name}`, built, shape);
    const device = topological(built).find((e) => e.table !== undefined && hostData(e.table) === undefined);
    if (device !== undefined) {
      throw new OptionError(
        `mask ${this.#name}: table "${device.table!.name}" must be host data, so that tiles can be classified; hide pairs by tensors with visible().`,
      );
    }
    return wrap(decide(built, shape)) as Bool;
  }

  toString(): string {
    return this.#name;
  }

  #combine(how: 'and' | 'or', other: Mask): Mask {
    if (!(other instanceof Mask)) {
      throw new OptionError(`mask ${this.#name}.${how}: takes a mask; got ${describe(other)}.`);
    }
    const name = `${this.#name}.${how}(${other.#name})`;
    return new Mask(name, (shape) => this.#build(shape)[how](other.#build(shape)));
  }
}

/** The user's own rule, such as `mask(({ q, k }) => q.sub(k).mod(3).eq(0))`. `rule` is called once per shape. */
export function mask(rule: (place: Place, shape: AttendShape) => Bool): Mask {
  if (typeof rule !== 'function')
    throw new OptionError(`mask: takes a function of { b, h, q, k }; got ${describe(rule)}.`);
  return new Mask('mask(…)', (shape) => rule(place, shape));
}

/** Replaces every truth value that the shape decides by a literal. */
function decide(expression: Expression, shape: AttendShape): Expression {
  const box = ranges(shape);
  return simplify(
    rebuild(expression, (e) => {
      if (e.type !== 'bool' || e.op === 'constant') return e;
      const [low, high] = bounds(e, box);
      return low === high ? constant(low === 1) : e;
    }),
  );
}
