'use strict';

const { inspect } = require('node:util');
const { native, watch, unwatch, listen } = require('./native');
const { Call } = require('./call');
const { members } = require('./groups');
const { failure } = require('./error');
const { bitsOf, nameOf } = require('./names');
const { only } = require('./options');

const EPERM = 1;
/** What a handler returns to leave a call to the next one. A call that all leave runs. */
const PASS = Symbol('sandlock.PASS');
/** Calls that are taken in one turn of the loop, so that others get theirs. */
const TURN = 64;

/** Tells `onError` of what functions of the host throw, or without it warns of the first that does so in each role. Never throws, and
 * knows no supervisor: who listens keeps it, and must keep none. */
function reporter(onError) {
  const warned = new Set();
  return async (error, call, role) => {
    try {
      if (onError) await onError(error, call);
      else if (!warned.has(role)) process.emitWarning(`${role}: ${inspect(error)}`, 'SandlockWarning');
      warned.add(role);
    } catch (second) {
      process.emitWarning(`onError failed: ${inspect(second)}`, 'SandlockWarning');
    }
  };
}

/** A number by which messages come to `listener`, which may be async. What it throws is reported and ends nobody. */
function listenTo(listener, report, role) {
  return listen(async (message) => {
    try {
      await listener(message);
    } catch (error) {
      report(error, null, role);
    }
  });
}

/** Looks at system calls, by functions that may be async, on the event loop. */
class Supervisor {
  #handle;
  #watch;
  #notice;
  #handlers = [];
  #deadline;
  #report;

  constructor(options = {}) {
    const { deadline = 30000, onError = null } = only(['deadline', 'onError'], options);
    if (typeof deadline !== 'number' || !(deadline > 0 && deadline <= 0x7fffffff)) {
      throw failure('INVALID_ARGUMENT', 'arguments: a deadline is 1 to 2147483647 milliseconds');
    }
    this.#deadline = deadline;
    this.#report = reporter(onError);
    this.#handle = native.supervisorNew();
    this.#notice = () => this.#serve();
    this.#watch = watch(this.#handle, this.#notice);
  }

  /** For the other files of the binding. */
  static handleOf(supervisor) {
    if (!(supervisor instanceof Supervisor)) throw new TypeError('a Supervisor is wanted');
    return supervisor.#open();
  }

  /** Has `handler` look at the calls that `selector`, a call or a group, names, in sandboxes that are started from now on. */
  handle(selector, handler) {
    if (typeof handler !== 'function') throw new TypeError('a handler is a function');
    native.supervisorAdd(this.#open(), selector);
    this.#handlers.push({ names: members(selector), handler });
    return this;
  }

  /** Has `observer` told of events of these kinds: "exec", ["fork", "exit"], "all". */
  observe(kinds, observer) {
    if (typeof observer !== 'function') throw new TypeError('an observer is a function');
    const handle = this.#open();
    const mask = bitsOf('event', kinds);
    const listener = (event) => observer({ ...event, kind: nameOf('event', event.kind) });
    const id = listenTo(listener, this.#report, 'an observer failed');
    native.observe(handle, mask, id);
    return this;
  }

  /** Has `log` told what goes wrong in the library: ("error" or "warning", line). null: nobody any more. */
  setLog(log) {
    if (log !== null && typeof log !== 'function') throw new TypeError('a log is a function, or null');
    const handle = this.#open();
    const listener = ({ level, text }) => log(nameOf('log', level), text);
    const id = log ? listenTo(listener, this.#report, 'a log failed') : 0;
    native.setLog(handle, Boolean(log), id);
    return this;
  }

  trace() {
    native.supervisorTrace(this.#open());
    return this;
  }

  /** What traced programs lacked, as policy calls in C. */
  suggest() {
    return native.supervisorSuggest(this.#open());
  }

  /** What was done so far. Handlers that failed or were late count as denied: the library knows nothing of them. */
  stats() {
    return native.supervisorStats(this.#open());
  }

  /** Calls that wait, or come later, are denied. Observers are told what has happened until then. */
  close() {
    const handle = this.#handle;
    if (!handle) return;
    this.#handle = null;
    unwatch(handle, this.#watch);
    native.supervisorFree(handle);
  }

  #open() {
    if (!this.#handle) throw failure('STATE', 'supervisor: it is closed');
    return this.#handle;
  }

  #serve() {
    for (let i = 0; i < TURN && this.#handle; i++) {
      const handle = native.supervisorNext(this.#handle);
      if (!handle) return;
      this.#answer(new Call(handle));
    }
  }

  /** Asks the handlers one after the other. Nothing is thrown from here, and nobody is left without an answer. */
  async #answer(call) {
    let timer;
    try {
      // A call that no handler is known for came by a group that this binding does not know all of: it is denied.
      let passed = false;
      for (const { names, handler } of this.#handlers) {
        if (!names.has(call.name)) continue;
        let verdict = handler(call);
        if (typeof verdict?.then === 'function') {
          timer ??= this.#startDeadline(call);
          verdict = await verdict;
        }
        passed = verdict === PASS && !call.answered && !call.deferred;
        if (!passed) break;
      }
      if (passed) call.continue();
      else if (!call.answered && !call.deferred) throw failure('STATE', `supervisor: ${call.name}: no answer was given`);
    } catch (error) {
      this.#failed(error, call);
    } finally {
      clearTimeout(timer);
      if (!call.deferred) Call.free(call);
    }
  }

  #startDeadline(call) {
    const timer = setTimeout(() => {
      if (call.answered || call.deferred) return;
      this.#failed(failure('TIMEOUT', `supervisor: ${call.name}: the handler took too long`), call);
      Call.free(call);
    }, this.#deadline);
    return timer.unref();
  }

  #failed(error, call) {
    if (!call.answered) {
      try {
        call.deny(EPERM);
      } catch {
        // The caller is gone.
      }
    }
    // That a program ends while it is looked at is nobody's failure.
    if (error?.status === 'STALE') return;
    this.#report(error, call, 'a handler failed, and its call was denied');
  }
}

if (Symbol.dispose) {
  Supervisor.prototype[Symbol.dispose] = function dispose() {
    this.close();
  };
}

module.exports = { Supervisor, PASS };
