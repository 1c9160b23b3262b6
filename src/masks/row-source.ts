import { boundLanes, freeVariables, type Bounds, type Expression } from '../codegen/expression/index.js';
import { PARTIAL, Runs } from './runs.js';
import type { Geometry, Source } from './sources.js';

// parts that an undecided stretch of keys is cut into
const ways = 16;

/**
 * Any boolean of q, k and d for single rows here and there, in tiles of one query and one key: interval bounds over all keys, then
 * over parts of the stretches left open. Costs nothing beforehand, and for each row as much as it has runs.
 */
export function rowSource(expression: Expression, { S, queryOffset }: Geometry): Source {
  const usesDifference = freeVariables(expression).has('d');
  const out = new Runs();
  return {
    row(tile, begin, finish) {
      const query = queryOffset + tile;
      const limit = Math.min(S, finish);
      const kindsOf = (starts: readonly number[], width: number): Uint8Array => {
        const lo = Float64Array.from(starts);
        const hi = width === 1 ? lo : lo.map((start) => Math.min(limit, start + width) - 1);
        const at = Float64Array.of(query);
        const env: Record<string, Bounds> = { q: { lo: at, hi: at }, k: { lo, hi } };
        if (usesDifference) env['d'] = { lo: hi.map((k) => query - k), hi: lo.map((k) => query - k) };
        const found = boundLanes(expression, env);
        const stride = found.lo.length === 1 ? 0 : 1;
        return Uint8Array.from(starts, (_, i) => found.lo[i * stride]! + found.hi[i * stride]!);
      };
      let open: readonly number[] = [begin];
      const decided: { readonly start: number; readonly end: number; readonly kind: number }[] = [];
      const levels = Math.ceil(Math.log(Math.max(2, limit - begin)) / Math.log(ways));
      for (let width = ways ** levels; open.length > 0; width /= ways) {
        const kinds = kindsOf(open, width);
        const parts: number[] = [];
        open.forEach((start, i) => {
          const end = Math.min(limit, start + width);
          if (kinds[i] !== PARTIAL || width === 1) decided.push({ start, end, kind: kinds[i]! });
          else for (let part = start; part < end; part += width / ways) parts.push(part);
        });
        open = parts;
      }
      out.clear();
      out.push(begin, PARTIAL);
      for (const { end, kind } of decided.sort((a, b) => a.start - b.start)) out.push(end, kind);
      out.push(S, PARTIAL);
      return out;
    },
  };
}
