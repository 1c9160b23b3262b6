import { defineConfig } from 'vitest/config';
import { leftOut, restPattern } from './tests/support/left-out.js';

/** `npm run test:full` has everything; `test:rest`, after `npm test`, only what that leaves out. The name is the mode. */
const modes: Readonly<Record<string, { include: readonly string[]; testNamePattern?: string }>> = {
  browser: { include: ['tests/browser/**/*.test.ts'] },
  webgpu: {
    include: [
      'tests/{devices/webgpu,ops,tensor,train/optimisers}/**/*.test.ts',
      'tests/codegen/{render-wgsl,wgsl-analysis}.test.ts',
      'tests/kernels/{attend,matmul}/gpu.test.ts',
      'tests/attention/**/{sliding-window,linformer,retention}.test.ts',
      'tests/cli/webgpu.test.ts',
    ],
  },
  sweeps: { include: leftOut().whole },
  natively: { include: leftOut().natively, testNamePattern: restPattern },
};

export default defineConfig(({ mode }) => {
  const { include, testNamePattern } = modes[mode] ?? { include: ['tests/**/*.test.ts'] };
  const full = ['full', 'sweeps', 'natively'].includes(mode);
  return {
    test: {
      include: [...include],
      // `npm run test:browser` is this mode: what is built, bundled and in Chromium
      exclude: mode === 'browser' ? [] : ['tests/browser/**'],
      ...(testNamePattern !== undefined && { testNamePattern }),
      globalSetup: 'tests/support/temporary.ts',
      // processes, not threads: the code under test spawns workers, holds gigabytes of shared memory and sets V8 flags. Files
      // of one process share its modules: loading them anew for each would take a tenth of the time
      pool: 'forks',
      isolate: false,
      maxWorkers: 2,
      // no time limit in tests: this only ends a hang; in Chromium a test is a whole suite
      testTimeout: mode === 'browser' ? 3_600_000 : 900_000,
      hookTimeout: 900_000,
      // setting the variables by hand does the same
      env: {
        ...(full && { SUBQUAD_FULL: '1' }),
        ...((mode === 'queue' || mode === 'webgpu') && { SUBQUAD_DEVICE: mode }),
      },
    },
  };
});
