import { type File, startTests, type Task, type VitestRunner, type VitestRunnerConfig } from '@vitest/runner';

export interface Summary {
  readonly passed: number;
  readonly skipped: number;
  /** With what was thrown. */
  readonly failed: readonly string[];
}

const FOREVER = 900_000;
const config: VitestRunnerConfig = {
  root: '/',
  setupFiles: [],
  name: undefined,
  passWithNoTests: false,
  testNamePattern: undefined,
  allowOnly: false,
  sequence: { seed: 1, hooks: 'stack', setupFiles: 'list' },
  chaiConfig: undefined,
  maxConcurrency: 1,
  testTimeout: FOREVER,
  hookTimeout: FOREVER,
  retry: 0,
  includeTaskLocation: false,
  tags: [],
  tagsFilter: undefined,
  strictTags: false,
};

/** Runs test files that were bundled for a page: one after the other, as in a process of Node. */
export async function main(paths: readonly string[]): Promise<Summary> {
  const runner: VitestRunner = { config, importFile: (path) => import(path) as Promise<unknown> };
  return summaryOf(await startTests([...paths], runner));
}

function summaryOf(files: readonly File[]): Summary {
  const counts = { passed: 0, skipped: 0 };
  const failed: string[] = [];
  const visit = (task: Task, above: string): void => {
    const name = `${above} > ${task.name}`;
    const errors = task.result?.errors ?? [];
    if (errors.length > 0) failed.push(...errors.map(({ message, stack }) => `${name}: ${message}\n${stack ?? ''}`));
    else if (task.type === 'test') counts[task.result?.state === 'pass' ? 'passed' : 'skipped']++;
    if (task.type === 'suite') for (const inner of task.tasks) visit(inner, name);
  };
  for (const file of files) visit(file, file.filepath);
  return { ...counts, failed };
}
