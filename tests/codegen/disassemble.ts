/** Names of the opcodes that the renderer uses, from the WebAssembly specification: one byte, then 0xFC, then 0xFD. */
const plain = opcodes(`
  02 block  03 loop  04 if  05 else  0b end  0c br  0d br_if  1b select  20 local.get  21 local.set
  28 i32.load  2a f32.load  2d i32.load8_u  2f i32.load16_u  36 i32.store  38 f32.store  3a i32.store8  3b i32.store16
  41 i32.const  43 f32.const  45 i32.eqz  46 i32.eq  47 i32.ne  48 i32.lt_s  4a i32.gt_s  4c i32.le_s  4e i32.ge_s
  5b f32.eq  5c f32.ne  5d f32.lt  5e f32.gt  5f f32.le  60 f32.ge
  6a i32.add  6b i32.sub  6c i32.mul  6d i32.div_s  6f i32.rem_s  71 i32.and  72 i32.or  73 i32.xor
  74 i32.shl  75 i32.shr_s  76 i32.shr_u
  8b f32.abs  8c f32.neg  8d f32.ceil  8e f32.floor  8f f32.trunc  90 f32.nearest  91 f32.sqrt
  92 f32.add  93 f32.sub  94 f32.mul  95 f32.div
  b2 f32.convert_i32_s  bc i32.reinterpret_f32  be f32.reinterpret_i32`);
const saturating = opcodes('00 i32.trunc_sat_f32_s');
const vector = opcodes(`
  00 v128.load  04 v128.load16x4_u  09 v128.load32_splat  0b v128.store  0c v128.const  0d i8x16.shuffle
  11 i32x4.splat  13 f32x4.splat  1b i32x4.extract_lane  1c i32x4.replace_lane  1f f32x4.extract_lane  20 f32x4.replace_lane
  37 i32x4.eq  38 i32x4.ne  39 i32x4.lt_s  3b i32x4.gt_s  3d i32x4.le_s  3f i32x4.ge_s
  41 f32x4.eq  42 f32x4.ne  43 f32x4.lt  44 f32x4.gt  45 f32x4.le  46 f32x4.ge
  4e v128.and  50 v128.or  51 v128.xor  52 v128.bitselect  53 v128.any_true
  56 v128.load32_lane  58 v128.store8_lane  59 v128.store16_lane  5a v128.store32_lane  5b v128.store64_lane
  5c v128.load32_zero  66 i8x16.narrow_i16x8_u  67 f32x4.ceil  68 f32x4.floor  69 f32x4.trunc  6a f32x4.nearest
  86 i16x8.narrow_i32x4_u  89 i16x8.extend_low_i8x16_u  a9 i32x4.extend_low_i16x8_u
  ab i32x4.shl  ac i32x4.shr_s  ad i32x4.shr_u  ae i32x4.add  b1 i32x4.sub  b5 i32x4.mul  b6 i32x4.min_s  b8 i32x4.max_s
  de i64x2.extmul_low_i32x4_u  df i64x2.extmul_high_i32x4_u
  e0 f32x4.abs  e1 f32x4.neg  e3 f32x4.sqrt  e4 f32x4.add  e5 f32x4.sub  e6 f32x4.mul  e7 f32x4.div  ea f32x4.pmin
  eb f32x4.pmax  f8 i32x4.trunc_sat_f32x4_s  fa f32x4.convert_i32x4_s  105 f32x4.relaxed_madd`);

function opcodes(table: string): ReadonlyMap<number, string> {
  const entries = [...table.matchAll(/([0-9a-f]+) (\S+)/g)];
  return new Map(entries.map(([, code, name]) => [parseInt(code!, 16), name!]));
}

class Reader {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  byte(): number {
    if (this.at >= this.bytes.length) throw new Error('disassemble: the code ends too early');
    return this.bytes[this.at++]!;
  }
  take(length: number): Uint8Array {
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }
  unsigned(): number {
    let [value, scale, byte] = [0, 1, 0];
    do {
      byte = this.byte();
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return value;
  }
  signed(): number {
    let [value, shift, byte] = [0n, 0n, 0];
    do {
      byte = this.byte();
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
    } while (byte >= 128);
    return Number(BigInt.asIntN(Number(shift), value));
  }
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }
  text(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }
}

const typeName = (code: number): string => ({ 0x7f: 'i32', 0x7d: 'f32', 0x7b: 'v128' })[code] ?? `type ${code}`;
const floatText = (bytes: Uint8Array): string => String(new DataView(bytes.buffer).getFloat32(0, true));

function memoryArgument(code: Reader): string {
  const align = code.unsigned();
  const offset = code.unsigned();
  return ` +${offset}${align === 0 ? '' : ` align=${align}`}`;
}

/** One instruction as text, with its immediate operands. */
function instruction(code: Reader): string {
  const first = code.byte();
  const [table, opcode] =
    first === 0xfc ? [saturating, code.unsigned()] : first === 0xfd ? [vector, code.unsigned()] : [plain, first];
  const name = table.get(opcode);
  if (name === undefined) throw new Error(`disassemble: unknown opcode ${first.toString(16)} ${opcode.toString(16)}`);
  if (name.startsWith('local.')) return `${name} ${code.unsigned()}`;
  if (name === 'i32.const') return String(code.signed());
  if (name === 'f32.const') return `${floatText(code.take(4))}f`;
  if (name === 'v128.const')
    return `(${Array.from({ length: 4 }, () => new DataView(code.take(4).buffer).getInt32(0, true)).join(' ')})`;
  if (name === 'i8x16.shuffle') return `${name}(${code.take(16).join(' ')})`;
  if (['block', 'loop', 'if'].includes(name)) return `${name}${code.byte() === 0x40 ? '' : ' with results'}`;
  if (name.startsWith('br')) return `${name} ${code.unsigned()}`;
  const memory = /load|store/.test(name) ? memoryArgument(code) : '';
  return `${name}${memory}${name.endsWith('_lane') ? `[${code.byte()}]` : ''}`;
}

/** The body of a function: one line per assignment, store or branch, operands in stack order. */
function body(code: Reader): string[] {
  const lines: string[] = [];
  let [depth, line] = [1, [] as string[]];
  const flush = (text: string): void => {
    lines.push(`${'  '.repeat(depth)}${[...line, text].join(' ')}`);
    line = [];
  };
  while (depth > 0) {
    const text = instruction(code);
    const [name, operand] = text.split(' ') as [string, string | undefined];
    if (name === 'local.get') line.push(`$${operand}`);
    else if (name === 'local.set') {
      line.unshift(`$${operand} =`);
      flush(line.pop()!);
    } else if (name === 'end' || name === 'else') {
      depth--;
      flush(text);
      if (name === 'else') depth++;
    } else if (['block', 'loop', 'if'].includes(name)) {
      flush(text);
      depth++;
    } else if (name.startsWith('br') || name.includes('store')) flush(text);
    else line.push(text);
  }
  return lines;
}

/** A module of one function as text. @throws for anything the renderer does not write, and for wrong lengths. */
export function disassemble(module: Uint8Array): string {
  const code = new Reader(module);
  const lines = [`module ${[...code.take(8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`];
  const sections: Readonly<Record<number, () => void>> = {
    1: () =>
      code.list(() =>
        lines.push(
          `type ${code.byte().toString(16)} (${code.list(() => typeName(code.byte())).join(' ')}) -> (${code.list(() => typeName(code.byte())).join(' ')})`,
        ),
      ),
    2: () =>
      code.list(() =>
        lines.push(
          `import ${code.text()}.${code.text()} kind ${code.byte()} flags ${code.byte()} pages ${code.unsigned()} to ${code.unsigned()}`,
        ),
      ),
    3: () => code.list(() => lines.push(`function of type ${code.unsigned()}`)),
    7: () => code.list(() => lines.push(`export ${code.text()} kind ${code.byte()} index ${code.unsigned()}`)),
    10: () =>
      code.list(() => {
        const end = code.unsigned() + code.at;
        const locals = code.list(() => `${code.unsigned() === 1 ? '' : 'several '}${typeName(code.byte())}`);
        lines.push(`locals ${locals.join(' ')}`, ...body(code));
        if (code.at !== end) throw new Error(`disassemble: the function ends at ${code.at}, not ${end}`);
      }),
  };
  while (code.at < module.length) {
    const read = sections[code.byte()];
    const end = code.unsigned() + code.at;
    if (read === undefined) throw new Error('disassemble: unknown section');
    read();
    if (code.at !== end) throw new Error(`disassemble: a section ends at ${code.at}, not ${end}`);
  }
  return [...lines, ''].join('\n');
}
