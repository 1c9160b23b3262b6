import { describe } from 'vitest';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';

describe('GPT-2', () => {
  onWebAssemblyFirst((on) => {
    testGolden('gpt2', on);
  });
});
