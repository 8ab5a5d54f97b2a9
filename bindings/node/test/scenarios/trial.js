'use strict';

// One scenario being tried: its policy, and the handlers that look at the calls of its runs.

const fs = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { Policy, Supervisor, PASS } = require('sandlock');

const accesses = { read: ['read'], write: ['write'], 'read-execute': ['read-execute'], 'read-write': ['read', 'write'] };

const rules = {
  'allow-path': (policy, access, file) => policy.allowPath(file, accesses[access.replace('?', '')], { optional: access.endsWith('?') }),
  'clear-env': (policy) => policy.clearEnv(),
  'set-env': (policy, name, value) => policy.setEnv(name, value),
  'unset-env': (policy, name) => policy.setEnv(name, null),
  'set-cwd': (policy, directory) => policy.setCwd(directory),
  'set-umask': (policy, mask) => policy.setUmask(parseInt(mask, 8)),
  syscalls: (policy, mode) => policy.setSyscallDefault(mode),
  'allow-syscall': (policy, name) => policy.allowSyscall(name),
  'deny-syscall': (policy, name, errno) => policy.denySyscall(name, Number(errno)),
  limit: (policy, name, value) => policy.setLimit(name, Number(value)),
  grace: (policy, signal, milliseconds) => policy.setGrace(Number(signal), Number(milliseconds)),
  flag: (policy, name) => policy.setFlag(name),
  strictness: (policy, feature, level) => policy.setStrictness(feature, level),
  'allow-net': (policy, rule) => policy.allowNet(rule),
  'deny-net': (policy, rule) => policy.denyNet(rule),
  'allow-bind': (policy, ports) => policy.allowBind(ports),
  'deny-bind': (policy, ports) => policy.denyBind(ports),
};

class Trial {
  calls = 0;
  supervisor = null;
  #table;
  #what;
  #values;
  #waiting = [];
  #workers = [];
  #ask;

  constructor(table, what, tree, port, other) {
    this.#table = table;
    this.#what = what;
    this.tree = tree;
    this.#values = { '{tree}': tree, '{pid}': process.pid, '{port}': port, '{other}': other };
    this.asked = new Promise((resolve) => {
      this.#ask = resolve;
    });
    for (const [name, text] of what.all('file')) fs.writeFileSync(path.join(tree, name), text);
  }

  /** A text with {tree}, {pid}, {port}, {other} and {n}, the number of the run, as what they stand for. */
  expand(text, run = 0) {
    return text.replace(/\{(tree|pid|port|other|n)\}/g, (name) => String(name === '{n}' ? run : this.#values[name]));
  }

  policy() {
    const toml = this.#what.all('toml');
    if (toml.length) return Policy.fromToml(toml.map(([line]) => `${this.expand(line)}\n`).join(''));
    const policy = new Policy();
    for (const [verb, ...words] of [...this.#table.base, ...this.#what.all('rule')]) {
      rules[verb](policy, ...words.map((word) => this.expand(word)));
    }
    return policy;
  }

  /** Makes a supervisor, if there are handlers. */
  supervise() {
    const handlers = this.#what.all('handler');
    if (!handlers.length) return;
    const deadline = this.#what.get('deadline');
    this.supervisor = new Supervisor({ ...(deadline && { deadline: Number(deadline) }), onError: () => {} });
    for (const [selector, action, ...words] of handlers) {
      this.supervisor.handle(selector, (call) => {
        this.calls++;
        this.#ask();
        return this.#actions[action](call, ...words);
      });
    }
  }

  async end() {
    this.supervisor?.close();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #actions = {
    value: (call, value) => call.return(Number(value)),
    errno: (call, errno) => call.deny(Number(errno)),
    pass: () => PASS,
    run: (call) => call.continue(),
    bytes: (call, file, text) => this.#opened(call, file, () => call.returnBytes(text)),
    file: (call, file, name) =>
      this.#opened(call, file, () => {
        const fd = fs.openSync(path.join(this.tree, name));
        call.returnFd(fd);
        fs.closeSync(fd);
      }),
    write: (call, text) => {
      call.write(call.args[0], Buffer.from(`${text}\0`));
      call.return(0);
    },
    throws: () => {
      throw new Error('of the handler');
    },
    silent: () => {},
    kill: (call) => call.kill(),
    hangs: () => new Promise(() => {}),
    never: (call) => {
      this.#waiting.push(call.defer());
    },
    gather: (call, most, value) => {
      this.#waiting.push(call.defer());
      if (this.#waiting.length === Number(most)) this.#waiting.reverse().forEach((each) => each.return(Number(value)));
    },
    'later-loop': async (call, value) => {
      await new Promise(setImmediate);
      call.return(Number(value));
    },
    'later-thread': (call, value) => this.#whenAThreadSaysSo(call, () => call.return(Number(value))),
    'later-errno': (call, errno) => this.#whenAThreadSaysSo(call, () => call.deny(Number(errno))),
  };

  #opened(call, file, give) {
    return call.name === 'openat' && call.readString(call.args[1]) === file ? give() : PASS;
  }

  #whenAThreadSaysSo(call, answer) {
    call.defer();
    const worker = new Worker('require("node:worker_threads").parentPort.postMessage(0)', { eval: true });
    worker.once('message', answer);
    this.#workers.push(worker);
  }
}

module.exports = { Trial };
