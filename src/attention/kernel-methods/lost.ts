import { Lost } from '../lost.js';
import type { AttentionShape } from '../options.js';

/** Counts rows that underflow has made 0: they are no attention at all. */
export function lostRows({ B, H, L }: AttentionShape): Lost {
  const rows = B * H * L;
  return new Lost((lost) => {
    const share = ((100 * lost) / rows).toFixed(lost < rows / 100 ? 2 : 0);
    return (
      `${lost} of ${rows} rows (${share} %) share no feature with the keys they see within float32 and are 0; ` +
      'make queries and keys shorter, such as by a norm, or take a mechanism without features'
    );
  });
}
