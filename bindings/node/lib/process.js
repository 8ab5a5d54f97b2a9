'use strict';

const { native, watch, unwatch } = require('./native');
const { failure } = require('./error');
const { nameOf } = require('./names');
const { Policy } = require('./policy');
const { Supervisor } = require('./supervisor');
const { only, optionsOf, signalOf, waitOf } = require('./options');
const { pipe, terminal } = require('./streams');
const { after } = require('./time');

/** Time between two looks whether a sandbox whose program has ended is over, milliseconds, when that takes more than a moment. */
const PAUSE = 20;

// A sandbox goes on when nobody has a reference to it.
const alive = new Set();

function resultOf(raw) {
  raw.reason = nameOf('reason', raw.reason);
  raw.limit = raw.limit ? nameOf('limit', raw.limit) : null;
  return raw;
}

/** A sandbox and the program it was made for. spawn() makes it. */
class Process {
  #handle;
  #watch;
  #notice;
  #timer;
  #supervisor;
  #talking = false;
  #kept = true;
  #over = false;
  #result = null;
  #failure = null;
  #settle;
  #ended;
  #modes;
  #streams = [null, null, null];
  #pty = null;
  #pid;
  #report = null;
  #stats = null;

  constructor(handle, modes, supervisor) {
    this.#handle = handle;
    this.#modes = modes;
    // Its handlers are needed as long as the sandbox is there.
    this.#supervisor = supervisor;
    this.#pid = native.processPid(handle);
    this.#ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#notice = () => this.#programEnded();
    this.#watch = watch(handle, this.#notice);
    alive.add(this);
    native.keep(1);
  }

  get pid() {
    return this.#pid;
  }

  /** The pipes. Nobody else can take one later; one that is never asked for is closed with the process. */
  get stdin() {
    return this.#stream(0);
  }

  get stdout() {
    return this.#stream(1);
  }

  get stderr() {
    return this.#stream(2);
  }

  get pty() {
    if (!this.#pty && this.#handle && this.#modes.includes(native.constants.STDIO_PTY)) {
      const fd = native.processTakePty(this.#handle);
      if (fd >= 0) this.#pty = terminal(fd);
    }
    return this.#pty;
  }

  /** What became of it; null while it runs. */
  get result() {
    return this.#result;
  }

  /** Gives the result when the sandbox has ended. When `timeout` milliseconds pass or `signal` aborts before, it rejects and
   * the program runs on. */
  async wait(options = {}) {
    return this.#wait(...waitOf(options));
  }

  async #wait(limit, signal) {
    signal?.throwIfAborted();
    let stop;
    let onAbort;
    const first = [this.#ended];
    first.push(new Promise((resolve, reject) => {
      stop = after(limit, () => reject(failure('TIMEOUT', 'wait: the program runs on')));
    }));
    if (signal) {
      first.push(new Promise((resolve, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
      }));
    }
    try {
      await Promise.race(first);
    } finally {
      stop();
      if (onAbort) signal.removeEventListener('abort', onAbort);
    }
    if (this.#failure) throw this.#failure;
    return this.#result;
  }

  /** Gives the program its input, and collects what its pipes say into the result. */
  async communicate(input, options = {}) {
    const limits = waitOf(options);
    if (!this.#handle || this.#over) throw failure('STATE', 'wait: the program has ended');
    const raw = native.processCommunicate(this.#handle, input);
    this.#talking = true;
    if (raw) this.#end(raw);
    return this.#wait(...limits);
  }

  /** Kills all of the sandbox. When it has given, nothing in it runs any more. */
  async kill(signal) {
    if (signal !== undefined) throw new TypeError('kill() takes no signal and ends all of the sandbox; signal() sends one');
    if (this.#handle && !this.#over) await native.processKill(this.#handle);
  }

  signal(number) {
    native.processSignal(this.#running(), number);
  }

  async pause() {
    await native.processPause(this.#running());
  }

  async resume() {
    await native.processResume(this.#running());
  }

  async list() {
    return native.processList(this.#running());
  }

  async ports() {
    const ports = await native.processPorts(this.#running());
    return ports.map((port) => ({ ...port, protocol: nameOf('protocol', port.protocol) }));
  }

  async updateNet(rules = {}) {
    const { allow = null, deny = null } = only(['allow', 'deny'], rules);
    await native.processUpdateNet(this.#running(), allow, deny);
  }

  resize(rows, columns) {
    native.processResize(this.#running(), rows, columns);
  }

  /** What the kernel was found to enforce. */
  report() {
    return JSON.parse(this.#report ?? native.processReport(this.#handle));
  }

  /** What the supervisor has done for this sandbox. */
  stats() {
    return this.#stats ?? native.processStats(this.#handle);
  }

  /** The event loop need not go on for this sandbox: if nothing else keeps it, the process exits, and the sandbox is killed. */
  unref() {
    if (this.#kept && !this.#over) native.keep(-1);
    this.#kept = false;
    this.#timer?.unref();
    return this;
  }

  ref() {
    if (!this.#kept && !this.#over) native.keep(1);
    this.#kept = true;
    this.#timer?.ref();
    return this;
  }

  #running() {
    if (!this.#handle || this.#over) throw failure('STATE', 'process: the program has ended');
    return this.#handle;
  }

  #stream(which) {
    const piped = this.#modes[which] === native.constants.STDIO_PIPE && !this.#talking;
    if (piped && !this.#streams[which] && this.#handle) {
      const fd = native.processTakeStdio(this.#handle, which);
      if (fd >= 0) this.#streams[which] = pipe(fd, which);
      if (this.#over) this.#release();
    }
    return this.#streams[which];
  }

  /** The library's thread has to end what else is in the sandbox first. That is mostly a moment, and tells itself by no descriptor: so a
   * thread waits for it, and if it takes longer, the loop looks now and then. */
  async #programEnded() {
    unwatch(this.#handle, this.#watch);
    const talking = this.#talking;
    let raw;
    try {
      raw = await (talking ? native.processLastTalk(this.#handle) : native.processLastWait(this.#handle));
    } catch (error) {
      if (error.status && error.status !== 'TIMEOUT') this.#failure = error;
    }
    if (this.#over) return;
    if (this.#failure || (raw && talking === this.#talking)) this.#end(raw ?? null);
    else this.#look();
  }

  #look() {
    let raw;
    try {
      raw = this.#talking ? native.processCommunicate(this.#handle, null) : native.processWait(this.#handle);
    } catch (error) {
      this.#failure = error;
      raw = null;
    }
    if (raw === undefined) {
      this.#timer = setTimeout(() => this.#look(), PAUSE);
      if (!this.#kept) this.#timer.unref();
      return;
    }
    this.#end(raw);
  }

  #end(raw) {
    if (this.#over) return;
    this.#over = true;
    this.#result = raw && resultOf(raw);
    this.#report = native.processReport(this.#handle);
    this.#stats = native.processStats(this.#handle);
    this.#supervisor = null;
    alive.delete(this);
    if (this.#kept) native.keep(-1);
    this.#release();
    this.#settle();
  }

  /** Lets go of the descriptors, unless there is a pipe with something to read in it that nobody has taken yet. */
  #release() {
    const { STDIO_PIPE, STDIO_PTY } = native.constants;
    const untaken = this.#modes.some((mode, which) => which && mode === STDIO_PIPE && !this.#streams[which]);
    const screen = this.#modes.includes(STDIO_PTY) && !this.#pty;
    if ((untaken && !this.#talking) || screen) return;
    native.processFree(this.#handle);
    this.#handle = null;
  }
}

if (Symbol.asyncDispose) {
  Process.prototype[Symbol.asyncDispose] = async function dispose() {
    await this.kill();
  };
}

/** Starts `argv` under `policy`. Gives when it has been executed, fully confined; rejects if it could not be. When `signal`
 * aborts, the sandbox is killed. */
async function spawn(policy, argv, options = {}) {
  const { supervisor = null } = options;
  const { modes, rest } = optionsOf(options);
  const signal = signalOf(options.signal);
  signal?.throwIfAborted();
  const handle = await native.spawn(
    Policy.handleOf(policy),
    supervisor && Supervisor.handleOf(supervisor),
    argv,
    modes,
    ...rest,
  );
  try {
    const process = new Process(handle, modes, supervisor);
    signal?.throwIfAborted();
    if (signal) killOnAbort(process, signal);
    return process;
  } catch (error) {
    // Nobody else can reach it.
    await native.processKill(handle).catch(() => {});
    throw error;
  }
}

function killOnAbort(process, signal) {
  const onAbort = () => process.kill().catch(() => {});
  signal.addEventListener('abort', onAbort, { once: true });
  const forget = () => signal.removeEventListener('abort', onAbort);
  process.wait().then(forget, forget);
}

module.exports = { Process, spawn };
