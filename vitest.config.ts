import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  test: {
    // `npm run test:browser` is this mode: what is built, bundled and in Chromium
    include: mode === 'browser' ? ['tests/browser/**/*.test.ts'] : ['tests/**/*.test.ts'],
    exclude: mode === 'browser' ? [] : ['tests/browser/**'],
    globalSetup: 'tests/support/temporary.ts',
    // processes, not threads: the code under test spawns workers, holds gigabytes of shared memory and sets V8 flags. Files
    // of one process share its modules: loading them anew for each would take a tenth of the time
    pool: 'forks',
    isolate: false,
    maxWorkers: 2,
    // no time limit in tests: this only ends a hang; in Chromium a test is a whole suite
    testTimeout: mode === 'browser' ? 3_600_000 : 900_000,
    hookTimeout: 900_000,
    // `npm run test:full` and `test:queue` are these modes; setting the variables by hand does the same
    env: { ...(mode === 'full' && { SUBQUAD_FULL: '1' }), ...(mode === 'queue' && { SUBQUAD_DEVICE: 'queue' }) },
  },
}));
