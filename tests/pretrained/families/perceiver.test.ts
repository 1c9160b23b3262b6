import { describe } from 'vitest';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';

describe('Perceiver', () => {
  onWebAssemblyFirst((on) => {
    testGolden('perceiver', on);
    testGolden('perceiver_masked_lm', on);
  });
});
