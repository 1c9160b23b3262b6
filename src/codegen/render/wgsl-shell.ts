import { type GpuText, HEADER_WORDS } from '../gpu.js';

/** The whole shader module of a text for a kernel of `parameters` arguments; the entry point is `main`. */
export function shellOf(text: GpuText, parameters: number): string {
  const { wgsl, workgroupSize, element = 'u32', tasksOf = 'workgroup', enable = [] } = text;
  const subgroups = enable.includes('subgroups');
  const each = tasksOf === 'invocation';
  const first = 'group.y * groups.x + group.x';
  return [
    ...enable.map((name) => `enable ${name};`),
    `@group(0) @binding(0) var<storage, read_write> arena: array<${element}>;`,
    `@group(0) @binding(1) var<uniform> call: array<vec4<u32>, ${Math.ceil((HEADER_WORDS + parameters) / 4)}>;`,
    'var<private> scratch: u32;',
    // as constants, compilers refuse them
    'var<private> specials: vec2<u32> = vec2<u32>(0x7f800000u, 0x7fc00000u);',
    'fn infinity() -> f32 { return bitcast<f32>(specials.x); }',
    'fn notANumber() -> f32 { return bitcast<f32>(specials.y); }',
    ...(subgroups ? ['var<private> subgroupLane: u32;', 'var<private> subgroupWidth: u32;'] : []),
    wgsl,
    `@compute @workgroup_size(${workgroupSize})`,
    'fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,',
    `  @builtin(local_invocation_index) lane: u32${subgroups ? ', @builtin(subgroup_invocation_id) within: u32, @builtin(subgroup_size) size: u32' : ''}) {`,
    ...(subgroups ? ['  subgroupLane = within;', '  subgroupWidth = size;'] : []),
    `  let taker = ${each ? `(${first}) * ${workgroupSize}u + lane` : first};`,
    '  if (taker >= call[0].x || taker >= call[0].w) { return; }',
    '  scratch = call[0].y + taker * call[0].z;',
    '  var task = taker;',
    '  loop {',
    '    run(task, lane);',
    '    task += call[0].w;',
    '    if (task >= call[0].x) { break; }',
    ...(each ? [] : ['    storageBarrier();', '    workgroupBarrier();']),
    '  }',
    '}',
    '',
  ].join('\n');
}
