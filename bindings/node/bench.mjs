// The worker of the bench in Node.js: see benches/bindings.c for what it is asked and answers.

import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Policy, Supervisor, run, spawn } from 'sandlock';

const program = process.argv[2];
const policy = new Policy().allowPath(dirname(program), 'read-execute').clearEnv();
for (const directory of ['/usr', '/bin', '/lib', '/lib64', '/etc', '/opt']) {
  policy.allowPath(directory, 'read-execute', { optional: true });
}
const streams = { stdin: 'null', stdout: 'null', stderr: 'null' };

async function spawnTrue(count) {
  const start = process.hrtime.bigint();
  for (; count > 0; count--) {
    const result = await (await spawn(policy, ['/bin/true'], streams)).wait();
    if (result.exitCode !== 0) throw new Error('/bin/true fails');
  }
  return process.hrtime.bigint() - start;
}

async function timeHandler(count) {
  const supervisor = new Supervisor().handle('getppid', (call) => call.return(7));
  const result = await run(policy, [program, 'time-getppid', String(count)], { supervisor });
  supervisor.close();
  if (result.exitCode !== 0) throw new Error(String(result.stderr));
  return Number(String(result.stdout));
}

for await (const line of createInterface({ input: process.stdin })) {
  const [task, count] = line.split(' ');
  console.log(String(await (task === 'spawn' ? spawnTrue(Number(count)) : timeHandler(count))));
}
