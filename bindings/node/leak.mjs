// Runs programs in every way that ends, and says now and then what this process holds: see scripts/leaks.awk for the lines, and for what
// is made of them. SANDLOCK_LEAK_RUNS says how many runs.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import vm from 'node:vm';
import { Policy, Supervisor, run, spawn } from 'sandlock';

const { allocated } = createRequire(import.meta.url)('./leak.node');
v8.setFlagsFromString('--expose-gc');
export const collect = vm.runInNewContext('gc');

export const policy = new Policy().clearEnv();
for (const directory of ['/usr', '/bin', '/lib', '/lib64']) policy.allowPath(directory, 'read-execute', { optional: true });
const asksForParent = ['sh', '-c', 'echo $PPID'];
const quiet = { onError: () => {} };

export function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}

async function says(argv, options, text) {
  const result = await run(policy, argv, options);
  check(result.reason === 'exited' && String(result.stdout) === text, `${argv} says ${text}, not ${result.stdout} (${result.reason}, ${result.stderr})`);
}

async function rejects(promise, status) {
  const why = await promise.then(() => null, (error) => error);
  check(why && (why.status === status || why.name === status), `${status}: ${why}`);
}

async function supervised(handler, text) {
  const supervisor = new Supervisor(quiet).handle('getppid', handler);
  await says(asksForParent, { supervisor }, text);
  supervisor.close();
}

async function putOff() {
  const supervisor = new Supervisor();
  supervisor.handle('getppid', (call) => setImmediate((kept) => kept.return(9), call.defer()));
  await says(asksForParent, { supervisor }, '9\n');
  supervisor.close();
}

/** Nobody closes anything, and the call is dropped: they are collected. */
async function neverAnswered() {
  let asked;
  const called = new Promise((resolve) => {
    asked = resolve;
  });
  const supervisor = new Supervisor();
  supervisor.handle('getppid', (call) => asked(call.defer().name));
  const program = await spawn(policy, asksForParent, { stdin: 'null', stdout: 'pipe', stderr: 'null', supervisor });
  await called;
  program.kill();
}

async function observed() {
  const events = [];
  const supervisor = new Supervisor().observe(['exec', 'exit'], (event) => events.push(event.kind)).setLog(() => {});
  await says(['echo', 'hello'], { supervisor }, 'hello\n');
  supervisor.close();
  while (!events.includes('exit')) await sleep(1);
}

async function withPipes() {
  const program = await spawn(policy, ['cat'], { stdin: 'pipe', stdout: 'pipe', stderr: 'null' });
  program.stdin.end('hello');
  let text = '';
  for await (const chunk of program.stdout) text += chunk;
  check(text === 'hello' && (await program.wait()).exitCode === 0, 'with pipes');
}

async function killed() {
  const program = await spawn(policy, ['sleep', '60'], { stdin: 'null' });
  await program.kill();
  check((await program.wait()).reason === 'killed', 'killed');
}

async function timedOut() {
  check((await run(policy, ['sleep', '60'], { timeout: 1 })).reason === 'timeout', 'timed out');
}

/** Pipes that nobody takes, and no wait: when the program has ended, the collector has the rest. */
async function forgotten() {
  const supervisor = new Supervisor().handle('getppid', (call) => call.return(7));
  await spawn(policy, ['echo', 'hello'], { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', supervisor });
}

export const ways = [
  () => says(['echo', 'hello'], {}, 'hello\n'),
  () => supervised((call) => call.return(7), '7\n'),
  () => supervised(async (call) => sleep(0).then(() => call.return(8)), '8\n'),
  () => supervised(() => {
    throw new Error('on purpose');
  }, '-1\n'),
  putOff,
  neverAnswered,
  observed,
  withPipes,
  () => says(['cat'], { input: 'hello' }, 'hello'),
  () => rejects(run(policy, ['/nope']), 'EXEC'),
  () => rejects(run(new Policy().allowPath('/nope'), ['true']), 'NOT_FOUND'),
  () => rejects(run(policy, ['sleep', '60'], { signal: AbortSignal.timeout(2) }), 'TimeoutError'),
  killed,
  timedOut,
  forgotten,
];

// --- what is held ---

/** A file of each thread; nothing for one that has just ended. */
function ofThreads(name) {
  return fs.readdirSync('/proc/self/task').map((task) => {
    try {
      return fs.readFileSync(`/proc/self/task/${task}/${name}`, 'utf8');
    } catch {
      return '';
    }
  });
}

/** Whether threads of the library still run. Those of handlers end a moment after the last sandbox; their names begin alike. */
function libraryRuns() {
  return ofThreads('comm').some((name) => name.startsWith('sandlock'));
}

function children() {
  return ofThreads('children').some((list) => list.trim()) ? 1 : 0;
}

/** The collector tells by tasks of the loop what it has collected, and what that held is garbage only then. */
export async function sayWhatIsHeld(runs) {
  const end = Date.now() + 10000;
  for (let rounds = 0; (rounds < 10 || libraryRuns()) && Date.now() < end; rounds++) {
    collect();
    await sleep(1);
  }
  const { heapUsed } = process.memoryUsage();
  const resident = /VmRSS:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1];
  const counts = ['fd', 'task'].map((what) => fs.readdirSync(`/proc/self/${what}`).length);
  console.log(`held ${runs} ${counts.join(' ')} ${children()} ${resident} ${heapUsed + allocated()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const runs = Number(process.env.SANDLOCK_LEAK_RUNS || 1000);
  for (let number = 1; number <= runs; number++) {
    await ways[number % ways.length]();
    if (number % Math.floor(runs / 5) === 0) await sayWhatIsHeld(number);
  }
}
