/** The WebAssembly binary format, as much as one exported function over an imported memory needs. */

export const valueTypes = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;

export function unsigned(value: number): number[] {
  if (!(value >= 0)) throw new Error(`wasm: offsets and indices are not negative; got ${value}`);
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

export function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

export function float(value: number): number[] {
  return [...new Uint8Array(Float32Array.of(value).buffer)];
}

const text = (name: string): number[] => [...unsigned(name.length), ...[...name].map((c) => c.charCodeAt(0))];
const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];

/** Its magic number and version. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module importing `env.memory` and exporting one function `run(params, scratch, begin, end)`. */
export function moduleOf(locals: readonly number[], body: readonly number[]): Uint8Array {
  const section = (id: number, contents: readonly number[], following = 0): number[] => [
    id,
    ...unsigned(contents.length + following),
    ...contents,
  ];
  const { i32 } = valueTypes;
  const declarations = vector(locals.map((type) => [1, type]));
  const before = [
    ...HEADER,
    ...section(1, vector([[0x60, ...vector([[i32], [i32], [i32], [i32]]), 0]])),
    ...section(2, vector([[...text('env'), ...text('memory'), 0x02, 0x03, ...unsigned(1), ...unsigned(65536)]])),
    ...section(3, vector([[0]])),
    ...section(7, vector([[...text('run'), 0x00, 0]])),
    // one function, whose body and end follow
    ...section(10, [1, ...unsigned(declarations.length + body.length + 1), ...declarations], body.length + 1),
  ];
  const bytes = new Uint8Array(before.length + body.length + 1);
  bytes.set(before);
  bytes.set(body, before.length);
  bytes[bytes.length - 1] = 0x0b;
  return bytes;
}
