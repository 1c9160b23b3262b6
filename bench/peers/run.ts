import { renameSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { checker, type Verdict } from './check.js';
import { type Contest, contests } from './contests.js';
import { type Case, flops, type Job, type Peer } from './job.js';

const HELP = `npm start -- [--only TEXT] [--rounds N] [--json FILE]

Runs subquad and its peers in turns on the same inputs and prints medians.
A result that does not match a float64 reference is reported and never timed.

  --only TEXT   only contests whose title contains TEXT (for example "matmul", "WebAssembly")
  --rounds N    timed runs of each peer, default 9; fewer, but at least 3, where a contest would take over 20 s
  --json FILE   also write the rows there`;

interface Row {
  readonly contest: string;
  readonly peer: string;
  readonly threads?: number;
  readonly shape: Record<string, number>;
  readonly checked: boolean;
  readonly error?: number;
  readonly budget?: number;
  /** Timed runs behind the median. */
  readonly runs?: number;
  readonly milliseconds?: number;
  readonly gflops?: number;
  /** How many times as fast as the contest's rival, from the medians. */
  readonly ratio?: number;
  /** Why there is no time. */
  readonly note?: string;
}

interface Entry {
  readonly peer: Peer;
  readonly job: Job;
  readonly verdict: Verdict;
  readonly times: number[];
}

try {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      rounds: { type: 'string', default: '9' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) console.log(HELP);
  else await main(values.only, Number(values.rounds), values.json);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}

async function main(only: string, rounds: number, json: string | undefined): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be a whole number from 1.`);
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, memory: totalmem(), node: process.version };
  console.log(
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; medians of up to ${rounds} alternating runs`,
  );
  console.log('GFLOP/s: attention 4·n²·D per head, matmul 2·n³\n');
  const rows: Row[] = [];
  for (const contest of contests().filter(({ title }) => title.includes(only))) {
    const found = await hold(contest, rounds);
    print(contest, found);
    rows.push(...found);
  }
  if (json) {
    writeFileSync(`${json}.part`, `${JSON.stringify({ machine, rounds, rows }, undefined, 2)}\n`);
    renameSync(`${json}.part`, json);
  }
  // peers keep worker threads that would hold the process open
  process.exit(rows.some(({ checked }) => !checked) ? 1 : 0);
}

async function hold(contest: Contest, rounds: number): Promise<Row[]> {
  const entries: Entry[] = [];
  const failed: Row[] = [];
  const base = { contest: contest.title, shape: shapeOf(contest.work) };
  const { work, heldOn = work } = contest;
  const check = checker(heldOn);
  for (const entrant of contest.entrants) {
    try {
      const peer = await entrant.load();
      const verdict = await verdictOf(peer, heldOn, check);
      const job = await peer.prepare(work);
      await job.run();
      entries.push({ peer, job, verdict, times: [] });
    } catch (error) {
      const note = error instanceof Error ? error.message.split('\n')[0]! : String(error);
      failed.push({ ...base, peer: entrant.name, checked: false, note });
    }
  }
  const correct = entries.filter(({ verdict }) => verdict.ok);
  const deadline = performance.now() + 20_000;
  for (let round = 0; round < rounds && (round < 3 || performance.now() < deadline); round++) {
    // the order turns, so that nobody always runs after the same neighbour
    for (let turn = 0; turn < correct.length; turn++) {
      const { job, times } = correct[(turn + round) % correct.length]!;
      // onnxruntime's threads spin for a while after their work; nobody is timed beside them
      await new Promise((resolve) => setTimeout(resolve, 30));
      const start = performance.now();
      await job.run();
      times.push(performance.now() - start);
    }
  }
  const rival = correct.find(({ peer }) => peer.name === contest.rival);
  const rows = entries.map(({ peer, verdict, times }): Row => {
    const { ok, error, budget } = verdict;
    const row = { ...base, peer: peer.name, threads: peer.threads, checked: ok, error, budget };
    if (!ok) return { ...row, note: 'wrong result, not timed' };
    const milliseconds = median(times);
    const timed = { ...row, runs: times.length, milliseconds, gflops: flops(contest.work) / milliseconds / 1e6 };
    return rival ? { ...timed, ratio: median(rival.times) / milliseconds } : timed;
  });
  for (const { job } of entries) await job.dispose();
  return [...rows, ...failed];
}

async function verdictOf(peer: Peer, work: Case, check: (result: Float32Array) => Verdict): Promise<Verdict> {
  const job = await peer.prepare(work);
  try {
    await job.run();
    return check(await job.result());
  } finally {
    await job.dispose();
  }
}

function print({ title, work, rival }: Contest, rows: readonly Row[]): void {
  const shape = Object.entries(shapeOf(work)).map(([name, size]) => `${name}=${size}`);
  console.log(`${title} (${shape.join(' ')})`);
  for (const { peer, milliseconds, gflops, ratio, error, budget, note } of rows) {
    const numbers =
      milliseconds === undefined
        ? note
        : `${milliseconds.toFixed(2).padStart(10)} ms ${gflops!.toFixed(1).padStart(8)} GFLOP/s` +
          (ratio === undefined ? '' : ` ${ratio.toFixed(2).padStart(7)}× ${rival}`);
    const accuracy = error === undefined ? '' : `   error ${error.toExponential(1)} of ${budget!.toExponential(1)}`;
    console.log(`  ${peer.padEnd(18)} ${numbers}${accuracy}`);
  }
  console.log();
}

function shapeOf(work: Case): Record<string, number> {
  switch (work.op) {
    case 'matmul':
      return { n: work.n };
    case 'attend':
      return { heads: work.heads, length: work.length, headDim: work.headDim };
    case 'encoder':
      return { layers: work.layers.length, width: work.width, heads: work.heads, length: work.length };
  }
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
