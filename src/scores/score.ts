import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { callable, checkValue, text } from '../core/requirements.js';
import { F32, simplify, substitute, variable, wrap } from '../codegen/expression/index.js';
import { checkPlace, checkTables, checkVariables, place, type AttendShape, type Place } from '../masks/place.js';

/** A scaled score `scale · q·k` and where it is; see `Place` for b, h, q and k. */
export interface ScorePlace extends Place {
  readonly score: F32;
}

const scorePlace: ScorePlace = { ...place, score: variable('score', 'f32') };

/**
 * A change of the attention scores, applied after the scale and before the mask and the softmax:
 * `softmax(mask(change(scale · q·k)))`.
 */
export class Score {
  readonly #name: string;
  readonly #build: (place: ScorePlace, shape: AttendShape) => F32;

  /** `name` is the code that builds the change. */
  constructor(name: string, build: (place: ScorePlace, shape: AttendShape) => F32) {
    checkValue('Score', 'name', name, text);
    checkValue('Score', 'build', build, callable);
    this.#name = name;
    this.#build = build;
  }

  /** This change, then `other` on its result. (Not `then`: await, and scope, would take a score for a promise.) */
  andThen(other: Score): Score {
    if (!(other instanceof Score))
      throw new OptionError(`score ${this.#name}.andThen: takes a score change; got ${describe(other)}.`);
    return new Score(`${this.#name}.andThen(${other.#name})`, (_, shape) => {
      const [inner, outer] = [this.expression(shape), other.expression(shape)];
      return wrap(substitute(outer, { score: inner })) as F32;
    });
  }

  /**
   * The change for one shape (the same object for the same shape), over the variables score, b, h, q and k.
   *
   * @throws OptionError where the rule is no f32 expression of those; ShapeError where a table does not fit the shape.
   */
  expression(shape: AttendShape): F32 {
    checkPlace(`score ${this.#name}`, shape);
    return this.#instance(shape);
  }

  readonly #instance = memoised(
    (shape: AttendShape): F32 => {
      const who = `score ${this.#name}`;
      const built: unknown = this.#build(scorePlace, shape);
      if (!(built instanceof F32))
        throw new OptionError(`${who}: must return an f32 expression; got ${describe(built)}.`);
      checkVariables(who, built, Object.keys(scorePlace));
      checkTables(who, built, shape);
      return wrap(simplify(built)) as F32;
    },
    { by: ({ B, H, L, S }) => [B, H, L, S], most: 16 },
  );

  toString(): string {
    return this.#name;
  }
}

/** The user's own change, such as `score(({ score, h }) => score.mul(h.toF32().mul(0.1)))`. Called once per shape. */
export function score(rule: (place: ScorePlace, shape: AttendShape) => F32): Score {
  if (typeof rule !== 'function') {
    throw new OptionError(`score: takes a function of { score, b, h, q, k }; got ${describe(rule)}.`);
  }
  return new Score('score(…)', rule);
}
