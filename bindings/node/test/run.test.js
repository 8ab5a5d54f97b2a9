'use strict';

// Runs: what is of this language about handlers, limits, cancelling and errors. The rest is in bindings/scenarios.txt.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const test = require('node:test');
const { inspect } = require('node:util');
const { Worker } = require('node:worker_threads');
const { sandlock, systemPolicy, shell, texts, count } = require('./support');

const { run, spawn, Supervisor, PASS } = sandlock;

test('a handler answers a value or an errno or lets the call run', async () => {
  const supervisor = new Supervisor();
  const seen = [];
  supervisor.handle('getppid', (call) => {
    seen.push(call.name, call.args.length, typeof call.args[0]);
    call.return(4242);
  });
  supervisor.handle('uname', async (call) => {
    await null;
    call.deny(38);
  });
  const parent = await shell(systemPolicy(), 'echo $PPID', { supervisor });
  assert.equal(parent.stdout, '4242\n');
  assert.deepEqual(seen, ['getppid', 6, 'bigint']);
  const system = texts(await run(systemPolicy(), ['uname'], { supervisor }));
  assert.equal(system.exitCode, 1);
  assert.match(system.stderr, /Function not implemented/);
  const passing = new Supervisor();
  const order = [];
  passing.handle('uname', () => {
    order.push(1);
    return PASS;
  });
  passing.handle('uname', async (call) => {
    order.push(2);
    call.continue();
  });
  assert.equal(texts(await run(systemPolicy(), ['uname'], { supervisor: passing })).stdout, 'Linux\n');
  assert.deepEqual(order, [1, 2]);
  assert.equal(passing.stats().continued, 1);
});

test('a handler that fails denies its call', async () => {
  const errors = [];
  const kinds = {
    throws() {
      throw new Error('of the handler');
    },
    async rejects() {
      await null;
      throw new Error('of the promise');
    },
    nothing() {},
    forever() {
      return new Promise(() => {});
    },
  };
  for (const [name, handler] of Object.entries(kinds)) {
    const supervisor = new Supervisor({ deadline: 50, onError: (error) => errors.push(`${name}: ${error.message}`) });
    supervisor.handle('uname', handler);
    const result = texts(await run(systemPolicy(), ['uname'], { supervisor }));
    assert.equal(result.exitCode, 1, name);
    assert.match(result.stderr, /not permitted/, name);
    supervisor.close();
  }
  assert.deepEqual(errors, [
    'throws: of the handler',
    'rejects: of the promise',
    'nothing: supervisor: uname: no answer was given',
    'forever: supervisor: uname: the handler took too long',
  ]);
});

test('limits end the sandbox and are named', async () => {
  const wall = await run(systemPolicy().setLimit('wall', 100), ['sleep', '30']);
  assert.deepEqual([wall.reason, wall.limit, wall.limitValue], ['limit', 'wall', 100n]);
});

test('a call that was put off is answered when another thread says what', async () => {
  const code = 'const { parentPort: p } = require("node:worker_threads"); p.on("message", (n) => p.postMessage(n * 2))';
  const worker = new Worker(code, { eval: true });
  const supervisor = new Supervisor();
  let waiting;
  supervisor.handle('getppid', (call) => {
    waiting = call.defer();
    worker.postMessage(21);
  });
  worker.on('message', (answer) => {
    waiting.return(answer);
    assert.throws(() => waiting.deny(), { status: 'STATE' });
  });
  assert.equal((await shell(systemPolicy(), 'echo $PPID', { supervisor })).stdout, '42\n');
  await worker.terminate();
});

test('an answer to a program that is gone is stale', async () => {
  const supervisor = new Supervisor();
  const waiting = new Promise((resolve) => supervisor.handle('uname', (call) => resolve(call.defer())));
  const program = await spawn(systemPolicy(), ['uname'], { supervisor });
  const call = await waiting;
  await program.kill();
  assert.throws(() => call.return(0), { status: 'STALE' });
  assert.equal((await program.wait()).reason, 'killed');
});

test('time-outs and signals of cancellation end a program', async () => {
  const policy = systemPolicy();
  const late = await run(policy, ['sleep', '30'], { timeout: 50 });
  assert.deepEqual([late.reason, late.exitCode, late.signal], ['timeout', -1, 9]);
  const patient = systemPolicy().setGrace(15, 10000);
  const warned = await shell(patient, 'trap "echo bye; exit 7" TERM; while :; do sleep 0.05; done', { timeout: 200 });
  assert.deepEqual([warned.reason, warned.exitCode, warned.stdout], ['timeout', 7, 'bye\n']);
  const reason = new Error('enough');
  const controller = new AbortController();
  const cancelled = run(policy, ['sleep', '30'], { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await assert.rejects(cancelled, reason);
  await assert.rejects(run(policy, ['true'], { signal: AbortSignal.abort(reason) }), reason);
  const program = await spawn(policy, ['sleep', '30']);
  await assert.rejects(program.wait({ timeout: 20 }), { name: 'SandlockError', status: 'TIMEOUT' });
  await assert.rejects(program.wait({ signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' });
  assert.equal(program.result, null);
  await program.kill();
  assert.equal((await program.wait()).reason, 'killed');
});

test('a limit of time is as long as it says, or is refused', async (t) => {
  const policy = systemPolicy();
  for (const timeout of [null, undefined, Infinity, -1, 3e9, 2 ** 31, 2 ** 60]) {
    const program = await spawn(policy, ['sleep', '0.05']);
    assert.equal((await program.wait({ timeout })).reason, 'exited', String(timeout));
    assert.equal((await run(policy, ['sleep', '0.05'], { timeout })).reason, 'exited', String(timeout));
  }
  for (const deadline of [NaN, Infinity, 0, '5', 5n]) assert.throws(() => new Supervisor({ deadline }), { status: 'INVALID_ARGUMENT' });
  const program = await spawn(policy, ['sleep', '30']);
  for (const timeout of [NaN, '5', 5n, {}, true]) {
    await assert.rejects(run(policy, ['true'], { timeout }), TypeError);
    await assert.rejects(program.wait({ timeout }), TypeError);
  }
  await program.kill();
  const patient = systemPolicy().setGrace(15, 2n ** 33n);
  const warned = await shell(patient, 'trap "sleep 0.1; exit 7" TERM; while :; do sleep 0.05; done', { timeout: 200 });
  assert.deepEqual([warned.reason, warned.exitCode], ['timeout', 7]);
  // More than a timer takes passes all the same.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late = await spawn(policy, ['sleep', '30']);
  const limited = assert.rejects(late.wait({ timeout: 2 ** 31 + 5 }), { status: 'TIMEOUT' });
  t.mock.timers.tick(2 ** 31 - 1);
  t.mock.timers.tick(6);
  await limited;
  await late.kill();
});

test('a run or a start that rejects leaves no program behind', async (t) => {
  const policy = systemPolicy();
  const children = () => fs.readdirSync('/proc').filter((name) => {
    try {
      const [state, parent] = fs.readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1).split(' ');
      return Number(parent) === process.pid && state !== 'Z';
    } catch {
      return false;
    }
  });
  const before = children();
  const failing = {
    throwIfAborted() {},
    addEventListener() {
      throw new Error('of the signal');
    },
    removeEventListener() {},
  };
  const wrong = [{ input: 5 }, { input: {} }, { input: new Uint16Array(1) }, { timeout: 100n }, { timeout: NaN }];
  for (const options of [...wrong, { signal: 5 }, { signal: {} }, { signal: { aborted: false, throwIfAborted() {} } }]) {
    await assert.rejects(run(policy, ['sleep', '30'], options), TypeError);
    if (options.signal) await assert.rejects(spawn(policy, ['sleep', '30'], options), TypeError);
    assert.deepEqual(children(), before, inspect(options));
  }
  await assert.rejects(spawn(policy, ['sleep', '30'], { signal: failing }), /of the signal/);
  assert.deepEqual(children(), before);
  t.mock.method(sandlock.Process.prototype, 'wait', () => Promise.reject(new Error('of the wait')));
  await assert.rejects(run(policy, ['sleep', '30']), /of the wait/);
  assert.deepEqual(children(), before);
});

test('errors say what failed and why', async () => {
  await assert.rejects(run(systemPolicy(), ['no-such-program']), {
    name: 'SandlockError',
    code: 'SANDLOCK_EXEC',
    status: 'EXEC',
    stage: 'exec',
    errno: 2,
    errnoName: 'ENOENT',
    message: 'exec: no-such-program: No such file or directory',
  });
  assert.throws(() => systemPolicy().allowNet('tcp://10.1.2.3/8'), {
    status: 'INVALID_ARGUMENT',
    message: /rule "tcp:\/\/10\.1\.2\.3\/8", column 7: /,
  });
  assert.throws(() => sandlock.Policy.fromToml('\n\n[filesystem]\nraed = []'), { message: /line 4, column 1: .*raed/ });
  await assert.rejects(run(systemPolicy().allowPath('/nowhere/at/all'), ['true']), { status: 'NOT_FOUND', stage: 'landlock' });
  await assert.rejects(systemPolicy().allowPath('/nowhere/at/all').check(), { status: 'NOT_FOUND', message: /nowhere/ });
  assert.throws(() => systemPolicy().setLimit('memmory', 1), { message: /"memmory" is no limit; known are cpu, / });
  assert.throws(() => systemPolicy().allowPath('/usr\0/secret'), TypeError);
  assert.throws(() => systemPolicy().setLimit('wall', -1), TypeError);
  assert.throws(() => systemPolicy().setLimit('wall', '1s'), /a whole number that is not negative is wanted, not "1s"/);
  assert.throws(() => systemPolicy().setLimit('wall', { seconds: 1 }), /wanted, not an object/);
  assert.throws(() => systemPolicy().setLimit('walls', 1), /"walls" is no limit; known are .*wall/);
  await assert.rejects(run(systemPolicy(), 'true'), /an array is wanted, not "true"/);
  await assert.rejects(run({}, ['true']), /a Policy is wanted/);
  await assert.rejects(run(systemPolicy(), []), { status: 'INVALID_ARGUMENT' });
  await assert.rejects(run(systemPolicy(), ['true'], { tiemout: 5 }), { message: /no option "tiemout"/ });
});

test('what is misspelt or missing is refused', async () => {
  const policy = () => systemPolicy();
  const unknown = { status: 'INVALID_ARGUMENT', message: /there is no option/ };
  assert.throws(() => policy().allowPath('/usr', 'read', { optinal: true }), unknown);
  assert.throws(() => policy().allowPath('/usr', 'read', true), TypeError);
  assert.throws(() => policy().addMount('/usr', '/usr', { wirte: true }), unknown);
  assert.throws(() => new Supervisor({ onerror: () => {} }), unknown);
  for (const options of [{ timeout: 5 }, { input: 'x' }]) await assert.rejects(spawn(policy(), ['true'], options), unknown);
  for (const options of [{ rows: 5 }, { passFds: [{ fd: 2, at: 7 }] }]) await assert.rejects(run(policy(), ['true'], options), unknown);
  const program = await spawn(policy(), ['sleep', '30'], { stdin: 'pipe' });
  await assert.rejects(program.wait({ timout: 5 }), unknown);
  await assert.rejects(program.communicate('x', { timout: 5 }), unknown);
  await assert.rejects(program.updateNet({ alow: [] }), unknown);
  await assert.rejects(program.kill('SIGTERM'), TypeError);
  assert.equal(program.result, null);
  await program.kill();
  const errors = [];
  const supervisor = new Supervisor({ onError: (error) => errors.push(error.message) });
  supervisor.handle('uname', (call) => call.returnBytes('x', { keepOnExce: true }));
  await run(policy(), ['uname'], { supervisor });
  assert.match(errors.join(), /^arguments: there is no option "keepOnExce"$/);

  for (const method of ['setRoot', 'setCgroup', 'setCwd']) assert.throws(() => policy()[method](undefined), TypeError, method);
  assert.throws(() => policy().setRoot('/srv').setRoot(), TypeError);
  assert.equal(policy().setRoot('/srv').setRoot(null).toToml(), policy().toToml());
  assert.throws(() => policy().setEnv('A', undefined), TypeError);
  await assert.rejects(run(policy()), /an array is wanted, not undefined/);

  for (const half of ['/tmp/\ud800', '\udc00', '\ufffd\ud800x', '\udc00\ud800']) {
    assert.throws(() => policy().allowPath(half), /half of a surrogate pair/);
    assert.throws(() => policy().setEnv('A', half), TypeError);
    assert.throws(() => sandlock.Policy.fromToml(`# ${half}`), TypeError);
    await assert.rejects(run(policy(), ['echo', half]), TypeError);
    await assert.rejects(run(policy(), ['cat'], { input: half }), TypeError);
  }
  const whole = '\ufffd \ud83d\ude00 \u00e9';
  assert.equal((await shell(policy(), `echo "${whole}"`)).stdout, `${whole}\n`);
});

test('hundreds of runs leave no descriptor and no thread', async () => {
  const policy = systemPolicy();
  const supervisor = new Supervisor().handle('uname', (call) => call.continue());
  const some = async (n) => {
    for (let i = 0; i < n; i++) {
      await run(policy, ['uname'], { supervisor });
      await run(policy, ['cat'], { input: 'x' });
      await run(policy, ['nope']).catch(() => {});
    }
  };
  await some(5);
  const before = [count('/proc/self/fd'), count('/proc/self/task')];
  await some(70);
  const after = [count('/proc/self/fd'), count('/proc/self/task')];
  assert.ok(after[0] <= before[0] && after[1] <= before[1], `${before} became ${after}`);
  supervisor.close();
});
