import { integer } from 'subquad/attention';
import { DenseFeedForward, defineFeedForward } from 'subquad/nn';

/** A feed-forward layer of a user. */
export const narrow = defineFeedForward({
  name: 'narrow',
  summary: 'Few units.',
  paper: { authors: 'Nobody', title: 'None', year: 2026 },
  formula: 'gelu(x·W)·V',
  options: { units: integer({ min: 1, default: 2, help: 'units between the products' }) },
  supports: { hidden: false },
  create: ({ features }, { units }) => new DenseFeedForward(features, units),
});
