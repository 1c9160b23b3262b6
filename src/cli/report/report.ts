import type { Comparison } from '../../studies/compare.js';
export function report(_c: Comparison, _o: { command: string; note: string | undefined }): string { return '<html></html>\n'; }
