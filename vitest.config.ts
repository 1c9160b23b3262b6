import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  test: {
    include: ['tests/**/*.test.ts'],
    // a process per file: the code under test spawns workers, holds gigabytes of shared memory and sets V8 flags,
    // none of which may outlive its file
    pool: 'forks',
    maxWorkers: 2,
    // no time limit in tests: this only ends a hang
    testTimeout: 900_000,
    hookTimeout: 900_000,
    // `npm run test:full` is this mode; setting SUBQUAD_FULL=1 by hand does the same
    env: mode === 'full' ? { SUBQUAD_FULL: '1' } : {},
  },
}));
