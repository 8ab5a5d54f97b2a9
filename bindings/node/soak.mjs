// A mixed load for SANDLOCK_SOAK_SECONDS, 20 by default: programs in every way of leak.mjs, several at a time, and the collector. It is in
// five parts; after each, when all is quiet, it says what this process holds, in lines as leak.mjs has them, and then `delay NAME VALUE`
// in milliseconds: the median and the longest time that the loop did not get its turn. It ends with programs that run: `alive PID` for
// each.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'sandlock';
import { collect, policy, sayWhatIsHeld, ways } from './leak.mjs';

const TASKS = 8;
const PARTS = 5;
const RESOLUTION = 5;
const PAUSE = 20; // between two runs, so that tests may run beside
const seconds = Number(process.env.SANDLOCK_SOAK_SECONDS || 20);
const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
let runs = 0;

async function task(until) {
  while (performance.now() < until) {
    await ways[Math.floor(Math.random() * ways.length)]();
    runs++;
    await sleep(Math.random() * PAUSE);
  }
}

// A whole collection stops the loop, and that is not the binding's doing: a few, not many.
async function collectNowAndThen(until) {
  while (performance.now() < until) {
    await sleep(500);
    collect();
  }
}

for (let part = 0; part < PARTS; part++) {
  const until = performance.now() + (seconds * 1000) / PARTS;
  delay.enable();
  await Promise.all([collectNowAndThen(until), ...Array.from({ length: TASKS }, () => task(until))]);
  delay.disable();
  await sayWhatIsHeld(runs);
}
for (const [name, value] of [['median', delay.percentile(50)], ['longest', delay.max]]) {
  console.log(`delay ${name} ${(value / 1e6 - RESOLUTION).toFixed(2)}`);
}
for (let i = 0; i < 3; i++) {
  const program = await spawn(policy, ['sleep', '1000'], { stdin: 'null', stdout: 'null', stderr: 'null' });
  console.log(`alive ${program.unref().pid}`);
}
