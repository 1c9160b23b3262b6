import ts from 'typescript';
import * as attention from '../../src/attention/index.js';
import * as subquad from '../../src/index.js';
import { Tensor } from '../../src/tensor/index.js';

const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (
  ...args: string[]
) => (...values: unknown[]) => Promise<unknown>;

/** A statement whose comment states its value, such as `x.shape; // [2, 3]`. */
interface Claim {
  readonly line: string;
  readonly stated: unknown;
  readonly actual: unknown;
}

/** The value a comment states, or undefined where it is prose. */
function stated(comment: string): unknown {
  try {
    return JSON.parse(comment.replace(/…$/, '')) as unknown;
  } catch {
    return undefined;
  }
}

/** Wraps the value of lines that end in a literal comment in `claim(…)`. */
function withClaims(code: string): string {
  return code
    .split('\n')
    .map((line) => {
      const [, statement, comment] = /^(.*);\s*\/\/ (.*)$/.exec(line) ?? [];
      if (statement === undefined || stated(comment!) === undefined) return line;
      const text = JSON.stringify(line.trim());
      const declared = /^\s*const \[?\s*(\w+)\s*\]? =/.exec(statement);
      return declared
        ? `${statement}; claim(${text}, ${declared[1]}, ${comment});`
        : `claim(${text}, ${statement}, ${comment});`;
    })
    .join('\n');
}

/** Runs example code with everything `subquad` exports and `names` in scope; returns what its comments state. */
export async function runExample(code: string, names: Readonly<Record<string, unknown>>): Promise<readonly Claim[]> {
  const claims: Claim[] = [];
  const claim = (line: string, actual: unknown, value: unknown): void => {
    claims.push({ line, actual, stated: value });
  };
  const body = withClaims(code.replace(/^import[^;]*;$/gm, ''));
  const script = ts.transpileModule(body, { compilerOptions: { target: ts.ScriptTarget.ES2022 } }).outputText;
  const scope: Record<string, unknown> = { ...attention, ...subquad, ...names, claim };
  // what the example declares itself is not also passed in
  const own = new Set([...script.matchAll(/const (?:\{ ?|\[ ?)?(\w+)/g)].map((match) => match[1]!));
  const known = Object.keys(scope).filter((name) => !own.has(name));
  await new AsyncFunction(...known, script)(...known.map((name) => scope[name]));
  return Promise.all(claims.map(async (c) => ({ ...c, actual: await plain(c.actual) })));
}

/** Tensors as flat lists of numbers. */
async function plain(value: unknown): Promise<unknown> {
  const settled = await value;
  if (settled instanceof Tensor) return [...(await settled.data())];
  return settled;
}
