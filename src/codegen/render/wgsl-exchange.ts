/** Up to here every lane adds what all have written, which takes fewer barriers; beyond, halves are added to halves. */
const MOST_SERIAL = 16;

/**
 * Functions through which the lanes of a workgroup see each other. Sums are pairwise, lane i with lane i + width/2 and so on, as on a CPU:
 * the bits do not depend on what the hardware runs in step. All lanes must come.
 */
export function exchange(width: number): string {
  return [
    `var<workgroup> exchanged: array<u32, ${width}>;`,
    `var<workgroup> exchangedToo: array<u32, ${width}>;`,
    'var<workgroup> handed: u32;',
    // its load waits before and after
    `fn handedFrom0(word: u32, lane: u32) -> u32 {
  if (lane == 0u) { handed = word; }
  return workgroupUniformLoad(&handed);
}`,
    `fn laneOf(word: u32, index: u32, lane: u32) -> u32 {
  if (lane == index) { handed = word; }
  return workgroupUniformLoad(&handed);
}`,
    `fn shuffled(a: f32, b: f32, source: u32, lane: u32) -> f32 {
  exchanged[lane] = bitcast<u32>(a);
  exchangedToo[lane] = bitcast<u32>(b);
  workgroupBarrier();
  let word = select(exchangedToo[source % ${width}u], exchanged[source % ${width}u], source < ${width}u);
  workgroupBarrier();
  return bitcast<f32>(word);
}`,
    reduction('reduceAdd', 'f32', (a, b) => `${a} + ${b}`, width),
    // as on a CPU: the second where it is greater
    reduction('reduceMax', 'f32', (a, b) => `select(${a}, ${b}, ${a} < ${b})`, width),
    reduction('reduceMin', 'f32', (a, b) => `select(${a}, ${b}, ${b} < ${a})`, width),
    reduction('reduceOr', 'i32', (a, b) => `${a} | ${b}`, width),
    'fn anyLane(a: i32, lane: u32) -> i32 { return select(0i, 1i, reduceOr(a, lane) != 0); }',
  ].join('\n');
}

type Combine = (a: string, b: string) => string;

function reduction(name: string, type: 'f32' | 'i32', combine: Combine, width: number): string {
  const body = width <= MOST_SERIAL ? serial(type, combine, width) : halving(type, combine, width);
  return `fn ${name}(a: ${type}, lane: u32) -> ${type} {\n  exchanged[lane] = bitcast<u32>(a);\n  workgroupBarrier();\n${body}}`;
}

function serial(type: string, combine: Combine, width: number): string {
  const lines = Array.from({ length: width }, (_, i) => `  var a${i} = bitcast<${type}>(exchanged[${i}]);\n`);
  for (let half = width / 2; half >= 1; half /= 2)
    for (let i = 0; i < half; i++) lines.push(`  a${i} = ${combine(`a${i}`, `a${i + half}`)};\n`);
  return `${lines.join('')}  workgroupBarrier();\n  return a0;\n`;
}

function halving(type: string, combine: Combine, width: number): string {
  const a = `bitcast<${type}>(exchanged[lane])`;
  return `  for (var half = ${width / 2}u; half >= 1u; half /= 2u) {
    if (lane < half) {
      let one = ${a};
      let two = bitcast<${type}>(exchanged[lane + half]);
      exchanged[lane] = bitcast<u32>(${combine('one', 'two')});
    }
    workgroupBarrier();
  }
  let result = bitcast<${type}>(exchanged[0]);
  workgroupBarrier();
  return result;
`;
}
