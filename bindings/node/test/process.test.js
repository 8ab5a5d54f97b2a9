'use strict';

// Processes: streams, terminals, what can be done with one that runs; events and traces.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { sandlock, systemPolicy, scratch, write, shell, texts, collect } = require('./support');

const { spawn, run, Supervisor, Policy } = sandlock;

test('pipes are streams', async () => {
  const pipes = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' };
  const program = await spawn(systemPolicy(), ['sh', '-c', 'cat; echo to err >&2'], pipes);
  assert.equal(program.stdout, program.stdout);
  const output = Promise.all([collect(program.stdout), collect(program.stderr)]);
  // More than a pipe holds: the writer has to wait for the program.
  const text = 'x'.repeat(1 << 20);
  program.stdin.end(text);
  assert.deepEqual(await output, [text, 'to err\n']);
  assert.equal((await program.wait()).exitCode, 0);
});

test('output that nobody has asked for yet is still there in the end', async () => {
  const program = await spawn(systemPolicy(), ['echo', 'late'], { stdout: 'pipe' });
  await program.wait();
  assert.equal(await collect(program.stdout), 'late\n');
  assert.equal(program.stdin, null);
});

test('writing to a program that has ended is an error of the stream', async () => {
  const program = await spawn(systemPolicy(), ['true'], { stdin: 'pipe' });
  const { stdin } = program;
  await program.wait();
  const error = new Promise((resolve) => stdin.on('error', resolve));
  stdin.write('nobody reads this');
  assert.equal((await error).code, 'EPIPE');
});

test('streams are captured, given and dropped', async () => {
  const file = write('given', '');
  const fd = fs.openSync(file, 'w');
  const program = await spawn(systemPolicy(), ['sh', '-c', 'echo out; echo err >&2; echo seven >&7'], {
    stdin: 'null',
    stdout: 'capture',
    stderr: fd,
    captureLimit: 2,
    passFds: [{ fd, as: 7 }],
    name: 'of-a-test',
  });
  const result = texts(await program.wait());
  fs.closeSync(fd);
  assert.deepEqual([result.stdout, result.stdoutDropped], ['ou', 2]);
  assert.equal(fs.readFileSync(file, 'utf8'), 'err\nseven\n');
});

test('a terminal is a stream that ends with the program', async () => {
  const program = await spawn(systemPolicy(), ['sh', '-c', 'stty size; read -r line; echo "got $line"; stty size'], {
    stdin: 'pty',
    stdout: 'pty',
    stderr: 'pty',
    rows: 30,
    columns: 100,
  });
  let text = '';
  for await (const chunk of program.pty) {
    if (!text) {
      program.resize(31, 101);
      program.pty.write('typed\n');
    }
    text += chunk;
  }
  assert.match(text.replaceAll('\r', ''), /^30 100\n[^]*got typed\n31 101\n$/);
  assert.equal((await program.wait()).exitCode, 0);
});

test('a terminal gives all that was printed when its program has ended', async () => {
  const lines = Array.from({ length: 2000 }, (_, i) => `${i + 1}\r\n`).join('');
  const terminal = { stdin: 'null', stdout: 'pty', stderr: 'pty' };
  const start = () => spawn(systemPolicy(), ['seq', '2000'], terminal);
  // All of it is unread when the loop first looks, and the end is there too.
  const program = await start();
  await program.wait();
  assert.equal(await collect(program.pty), lines);
  const reads = Array.from({ length: 20 }, async () => collect((await start()).pty));
  assert.ok((await Promise.all(reads)).every((text) => text === lines));
});

test('the loop does not wait for a program that does not read its terminal', async () => {
  // More than a terminal holds.
  const typed = 'x'.repeat(999) + '\n';
  const script = 'stty raw -echo; echo ready; while [ ! -e "$0" ]; do sleep 0.01; done; head -c 300000 | wc -c';
  const file = write('go', '');
  fs.unlinkSync(file);
  const policy = systemPolicy().allowPath(path.dirname(file), 'read');
  const program = await spawn(policy, ['sh', '-c', script, file], { stdin: 'pty', stdout: 'pty', stderr: 'pty' });
  const { pty } = program;
  const chunks = pty.setEncoding('utf8')[Symbol.asyncIterator]();
  assert.match((await chunks.next()).value, /ready/);
  let taken = false;
  pty.write(typed.repeat(300), () => {
    taken = true;
  });
  await sleep(20);
  assert.equal(taken, false);
  write('go', '');
  assert.match((await chunks.next()).value, /^300000/);
  assert.equal((await program.wait()).exitCode, 0);
  assert.equal(taken, true);
  // Nor for the rest of it when the program is gone.
  const deaf = await spawn(systemPolicy(), ['sh', '-c', 'stty raw -echo; echo ready; exec sleep 30'], { stdin: 'pty', stdout: 'pty' });
  await new Promise((resolve) => deaf.pty.once('data', resolve));
  const failed = new Promise((resolve) => deaf.pty.on('error', resolve));
  deaf.pty.write(typed.repeat(300));
  await deaf.kill();
  assert.ok((await failed).code);
});

test('a program is paused, listed, signalled and killed', async () => {
  const program = await spawn(systemPolicy(), ['sh', '-c', 'sleep 30; true']);
  let members = await program.list();
  // A shell that waits for its child to execute (vfork) cannot be stopped before that.
  while (!members.some(({ name }) => name === 'sleep')) members = await program.list();
  assert.ok(members.some(({ pid, rssBytes }) => pid === program.pid && rssBytes > 0));
  assert.equal(members.length, 2);
  await program.pause();
  const state = () => fs.readFileSync(`/proc/${program.pid}/stat`, 'utf8').split(') ')[1][0];
  while (state() !== 'T') await sleep(1);
  await program.resume();
  while (state() === 'T') await sleep(1);
  program.signal(15);
  const result = await program.wait();
  assert.deepEqual([result.reason, result.signal], ['signaled', 15]);
  await program.kill();
  assert.throws(() => program.signal(15), { status: 'STATE' });
  await assert.rejects(program.list(), { status: 'STATE' });
  assert.equal(program.report().features.find(({ feature }) => feature === 'files').state, 'enforced');
  assert.equal(typeof program.stats().received, 'number');
});

test('aborting the signal of a spawn kills the sandbox', async () => {
  const controller = new AbortController();
  const program = await spawn(systemPolicy(), ['sleep', '30'], { signal: controller.signal });
  controller.abort();
  assert.equal((await program.wait()).reason, 'killed');
});

test('rules of the network change while a program runs', async () => {
  const policy = systemPolicy().allowNet('tcp://127.0.0.1').setFlag('net-updates');
  const ask = 'import socket, sys\nfor line in sys.stdin:\n  print(socket.socket().connect_ex(("127.0.0.1", 1)), flush=True)';
  const program = await spawn(policy, ['python3', '-c', ask], { stdin: 'pipe', stdout: 'pipe' });
  const answers = program.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
  const connect = async () => {
    program.stdin.write('\n');
    return Number((await answers.next()).value);
  };
  assert.equal(await connect(), 111); // ECONNREFUSED
  await program.updateNet({ allow: [] });
  assert.equal(await connect(), 13); // EACCES
  await program.updateNet();
  assert.equal(await connect(), 111);
  await assert.rejects(program.updateNet({ allow: ['tcp://nonsense:x'] }), { status: 'INVALID_ARGUMENT' });
  program.stdin.end();
  assert.equal((await program.wait()).exitCode, 0);
});

test('ports of its own are told', async () => {
  const policy = systemPolicy().allowBind(8080).setFlag('port-remap');
  const serve = 'import socket, sys\ns = socket.create_server(("127.0.0.1", 8080))\nprint("ready", flush=True)\nsys.stdin.read()';
  const program = await spawn(policy, ['python3', '-c', serve], { stdin: 'pipe', stdout: 'pipe' });
  const { stdout } = program;
  await new Promise((resolve) => stdout.once('data', resolve));
  const ports = await program.ports();
  assert.deepEqual(ports.map(({ protocol, inside }) => [protocol, inside]), [['tcp', 8080]]);
  program.stdin.end();
  await program.wait();
});

test('observers are told in order', async () => {
  const events = [];
  const supervisor = new Supervisor().observe(['exec', 'exit'], (event) => events.push(event));
  const result = await run(systemPolicy(), ['sh', '-c', '/usr/bin/env true; exit 3'], { supervisor });
  assert.equal(result.exitCode, 3);
  supervisor.close();
  while (!events.some(({ kind, exitCode }) => kind === 'exit' && exitCode === 3)) await sleep(1);
  const executed = events.filter(({ kind }) => kind === 'exec').map((event) => event.arguments.join(' '));
  assert.ok(executed.includes('/usr/bin/env true'), executed.join(', '));
  assert.equal(typeof events[0].timeNs, 'bigint');
});

test('an observer that throws is told to onError and ends nobody', async (t) => {
  const told = [];
  const onError = (error, call) => {
    told.push(`${error.message} ${call}`);
    throw Object.create(null);
  };
  const observers = {
    throws: () => {
      throw new Error('of the observer');
    },
    rejects: async () => {
      throw new Error('of the promise');
    },
  };
  const warnings = [];
  t.mock.method(process, 'emitWarning', (text) => warnings.push(text));
  for (const observer of Object.values(observers)) {
    for (const options of [{ onError }, {}]) {
      const supervisor = new Supervisor(options).observe('exit', observer);
      assert.equal((await shell(systemPolicy(), 'true; /usr/bin/env true', { supervisor })).exitCode, 0);
      supervisor.close();
      while (!(options.onError ? told : warnings).some((text) => text.startsWith(options.onError ? 'of the' : 'an observer'))) {
        await sleep(1);
      }
      if (!options.onError) assert.equal(warnings.filter((text) => text.startsWith('an observer failed: Error: of the ')).length, 1);
      told.length = 0;
      warnings.length = 0;
    }
  }
  for (const wrong of [undefined, null, 5]) assert.throws(() => new Supervisor().observe('all', wrong), TypeError);
  for (const wrong of [undefined, 5]) assert.throws(() => new Supervisor().setLog(wrong), TypeError);
  // What is thrown need not be an error.
  const supervisor = new Supervisor().handle('uname', () => {
    throw Symbol('nothing');
  });
  assert.equal((await run(systemPolicy(), ['uname'], { supervisor })).exitCode, 1);
  const ofHandlers = warnings.filter((text) => text.startsWith('a handler'));
  assert.deepEqual(ofHandlers, ['a handler failed, and its call was denied: Symbol(nothing)']);
});

test('a trace suggests what a program lacks', async () => {
  const file = write('wanted', 'x');
  const supervisor = new Supervisor().trace();
  await run(systemPolicy(), ['cat', file], { supervisor });
  const { count, text } = supervisor.suggest();
  assert.ok(count >= 1);
  assert.ok(text.includes(file), text);
});

test('a handler reads and writes the memory of a program and gives descriptors', async () => {
  const file = write('real', 'of the host\n');
  const supervisor = new Supervisor();
  supervisor.handle('uname', (call) => {
    const name = Buffer.alloc(65);
    name.write('Pretend');
    call.write(call.args[0], name);
    assert.equal(call.read(call.args[0], 7).toString(), 'Pretend');
    call.return(0);
  });
  supervisor.handle('openat', (call) => {
    if (!call.readString(call.args[1]).startsWith('/virtual/')) return sandlock.PASS;
    const fd = fs.openSync(file);
    call.returnFd(fd);
    fs.closeSync(fd);
  });
  assert.equal((await shell(systemPolicy(), 'uname -s', { supervisor })).stdout, 'Pretend\n');
  assert.equal((await shell(systemPolicy(), 'cat /virtual/x', { supervisor })).stdout, 'of the host\n');
});

test('a handler kills the sandbox', async () => {
  const supervisor = new Supervisor().handle('uname', (call) => call.kill());
  assert.equal((await shell(systemPolicy(), 'uname; sleep 30', { supervisor })).reason, 'killed');
});

test('handlers of groups get the calls of the group', async () => {
  const names = new Set();
  const supervisor = new Supervisor().handle('@file-system', (call) => {
    names.add(call.name);
    return sandlock.PASS;
  });
  const result = await run(systemPolicy(), ['cat', '/dev/null'], { supervisor });
  assert.equal(result.exitCode, 0);
  assert.ok(names.has('openat'), [...names].join(' '));
});

test('policies are written, read and changed while they are used', async () => {
  const policy = new Policy()
    .allowPath('/usr', 'read-execute')
    .setSyscallDefault('denylist')
    .allowSyscall('ptrace')
    .denySyscall('kill', 3)
    .setLimit('nofile', 64)
    .setLimit('processes', 'unlimited')
    .setCgroup(null)
    .clearEnv()
    .setEnv('A', 'b')
    .setEnv(Buffer.from('RAW'), Buffer.from([0xff, 0x41]))
    .setCwd('/')
    .setUmask(0o27)
    .setNice(3)
    .setCpus([0])
    .setUser(1, 2)
    .setNamespace('uts')
    .setFlag('no-coredump')
    .setStrictness('ns-user', 'best-effort')
    .setRoot('')
    .addMount('/usr', '/usr')
    .addMemoryMount('/tmp', 1n << 20n)
    .allowNet('tcp://example.com:443')
    .denyNet('10.0.0.0/8')
    .allowBind(8080)
    .denyBind('8081')
    .setNetRefresh(60)
    .setGrace(15, 500);
  const text = policy.toToml();
  assert.equal(Policy.fromToml(text).toToml(), text);
  assert.equal(policy.clone().toToml(), text);
  const parts = ['ptrace', 'nofile = 64', 'processes = "unlimited"', 'umask', 'grace = [15, 500]', 'uts', 'no-coredump', '8081'];
  for (const part of parts) {
    assert.ok(text.includes(part), `${part} in ${text}`);
  }
  const used = systemPolicy();
  const first = shell(used, 'echo "$X"');
  used.setEnv('X', 'later');
  assert.equal((await first).stdout, '\n');
  assert.equal((await shell(used, 'echo "$X"')).stdout, 'later\n');
  const warned = Policy.fromToml(systemPolicy().setGrace(15, 10000).toToml());
  const result = await shell(warned, 'trap "exit 7" TERM; while :; do sleep 0.05; done', { timeout: 200 });
  assert.deepEqual([result.reason, result.exitCode], ['timeout', 7]);
});

test('a log and a closed supervisor', async () => {
  const supervisor = new Supervisor().setLog(() => {});
  supervisor.setLog(null);
  supervisor.handle('uname', (call) => call.continue());
  supervisor.close();
  supervisor.close();
  assert.throws(() => supervisor.stats(), { status: 'STATE' });
  await assert.rejects(run(systemPolicy(), ['true'], { supervisor }), { status: 'STATE' });
  assert.ok(scratch);
});
