'use strict';

// What the binding is to its host: how processes exit, that the loop and libuv's threads go on.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const test = require('node:test');
const { Worker } = require('node:worker_threads');
const { setTimeout: sleep } = require('node:timers/promises');
const { sandlock, systemPolicy, scratch } = require('./support');

const start = `
  const { systemPolicy, sandlock } = require('./support');
  const started = sandlock.spawn(systemPolicy(), ['sleep', '1000'], { stdin: 'null' }).then((program) => {
    require('node:fs').writeSync(1, program.pid + '\\n');
    return program;
  });
`;

function host(code, env) {
  return new Promise((resolve) => {
    const options = { cwd: __dirname, env: { ...process.env, ...env }, timeout: 15000 };
    const child = execFile(process.execPath, ['-e', start + code], options, (error, stdout, stderr) =>
      resolve({ status: child.exitCode, signal: child.signalCode, stdout, stderr }),
    );
  });
}

function gone(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

test('a process exits with sandboxes alive and they are killed', async () => {
  const ways = [
    ['started.then((program) => program.unref())', 0],
    ['started.then(() => process.exit(3))', 3],
    ['started.then(() => { throw new Error("of the host"); })', 1],
    // In the midst of starting, and of everything else.
    [
      `for (let i = 0; i < 20; i++) sandlock.spawn(systemPolicy(), ['sleep', '1000']);
       started.then((program) => { program.list(); program.kill(); process.exit(4); })`,
      4,
    ],
    [
      `const supervisor = new sandlock.Supervisor().handle('uname', () => process.exit(5)).observe('all', () => {});
       sandlock.run(systemPolicy(), ['uname'], { supervisor })`,
      5,
    ],
  ];
  for (const [code, status] of ways) {
    const result = await host(code);
    assert.deepEqual([result.status, result.signal], [status, null], `${code}\n${result.stderr}`);
    const pid = Number(result.stdout);
    assert.ok(!pid || gone(pid), `${code}: ${pid} is alive`);
  }
});

test('a process goes on until its sandboxes have ended', async () => {
  const result = await host(`started.then(async (program) => {
    program.unref();
    await sandlock.run(systemPolicy(), ['sleep', '0.2']);
    console.log('done');
  })`);
  assert.deepEqual([result.status, result.stdout.split('\n')[1]], [0, 'done'], result.stderr);
});

test('a worker thread ends with its sandboxes', async () => {
  for (const end of ['parentPort.postMessage(program.pid)', 'parentPort.postMessage(program.pid); process.exit()']) {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const { systemPolicy, sandlock } = require(${JSON.stringify(require.resolve('./support'))});
       const s = new sandlock.Supervisor().handle('uname', () => {}).observe('all', () => {});
       sandlock.spawn(systemPolicy(), ['sleep', '1000'], { supervisor: s }).then((program) => { ${end} });`,
      { eval: true },
    );
    const pid = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await worker.terminate();
    assert.ok(gone(pid));
  }
  assert.equal((await sandlock.run(systemPolicy(), ['true'])).exitCode, 0);
});

test('neither the loop nor the threads of libuv wait for a sandbox', async () => {
  // One thread of libuv: were it taken, no file would be read.
  const result = await host(
    `const fs = require('node:fs/promises');
     (async () => {
       const all = await Promise.all(Array.from({ length: 4 }, () =>
         sandlock.spawn(systemPolicy(), ['cat'], { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' })));
       for (const program of all) program.stdout.resume(), program.stderr.resume();
       const waits = all.map((program) => program.wait());
       waits.push(sandlock.run(systemPolicy(), ['sleep', '0.3']));
       let turns = 0;
       const timer = setInterval(() => turns++, 5);
       await fs.readFile('/etc/hostname').catch(() => {});
       await fs.stat('/');
       for (const program of all) program.stdin.end();
       await Promise.all(waits);
       clearInterval(timer);
       console.log(turns > 20 ? 'free' : 'blocked ' + turns);
       process.exit(0);
     })();`,
    { UV_THREADPOOL_SIZE: '1' },
  );
  assert.match(result.stdout, /^free$/m, result.stderr);
});

test('what is collected frees what it stands for', async () => {
  const v8 = require('node:v8');
  v8.setFlagsFromString('--expose-gc');
  const gc = require('node:vm').runInNewContext('gc');
  const { count } = require('./support');
  const supervisors = () => Array.from({ length: 50 }, () => new sandlock.Supervisor().handle('uname', (call) => call.defer()));
  let kept = supervisors();
  const many = count('/proc/self/fd');
  // A call that is dropped unanswered is denied.
  const ending = sandlock.run(systemPolicy(), ['uname'], { supervisor: kept[0] });
  kept = null;
  let result = null;
  ending.then((value) => {
    result = value;
  });
  while (!result || count('/proc/self/fd') > many - 40) {
    await sleep(5);
    gc();
  }
  assert.deepEqual([result.exitCode, /not permitted/.test(String(result.stderr))], [1, true]);
  assert.ok(scratch);
});
