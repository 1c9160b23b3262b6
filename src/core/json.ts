import { FormatError } from './errors.js';

/** Of what is nested deeper, nobody wrote the sense; and code that goes through a value calls itself for each level. */
const DEEPEST = 100;

/** The value of a JSON text. @throws SyntaxError as `JSON.parse` does; FormatError for one that is nested too deeply. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  let level = [value];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > DEEPEST) throw new FormatError(`it is nested more than ${DEEPEST} deep`);
    level = level.flatMap(inner);
  }
  return value;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const inner = (value: unknown): unknown[] => (isObject(value) ? Object.values(value).filter(isObject) : []);
