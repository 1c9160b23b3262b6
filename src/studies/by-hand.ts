/** Arithmetic that can be followed on paper, for the plan's readers. All numbers are for one layer and one batch row. */
export interface ByHand {
  /** n²·4 bytes a head: one n×n matrix of f32 scores. */
  readonly scoreBytesPerHead: number;
  readonly scoreBytes: number;
  /** Queries, keys and values: 3·n·D·4 bytes, D all heads. */
  readonly projectionBytes: number;
  /** 2·n²·D: scores and values, all heads. */
  readonly fullMultiplyAdds: number;
  /** 2·n·w·D for a window of w = 512 keys, borders and the query's own key left out, as textbooks count. */
  readonly windowMultiplyAdds: number;
  /** 4·n·k·D for 256 landmarks or features: projections or feature products, and attention to them. */
  readonly lowRankMultiplyAdds: number;
}

export const textbookWindow = 512;
export const textbookRank = 256;

export function byHand({
  length: n,
  heads,
  headDim,
}: {
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
}): ByHand {
  const D = heads * headDim;
  return {
    scoreBytesPerHead: 4 * n * n,
    scoreBytes: 4 * heads * n * n,
    projectionBytes: 12 * n * D,
    fullMultiplyAdds: 2 * n * n * D,
    windowMultiplyAdds: 2 * n * textbookWindow * D,
    lowRankMultiplyAdds: 4 * n * textbookRank * D,
  };
}
