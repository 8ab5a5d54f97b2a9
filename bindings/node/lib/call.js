'use strict';

const { native } = require('./native');
const { failure } = require('./error');
const { only } = require('./options');

/** The option of those that give a descriptor. */
function flagsOf(options) {
  return only(['keepOnExec'], options).keepOnExec ? native.constants.FD_KEEP_ON_EXEC : 0;
}

/** A system call that waits for an answer. The first answer counts; later ones throw STATE, or STALE if the caller is gone. */
class Call {
  #handle;
  #info;
  #deferred = false;
  #answered = false;

  constructor(handle) {
    this.#handle = handle;
    this.#info = native.callInfo(handle);
  }

  /** Frees what was answered or is to be denied. */
  static free(call) {
    const handle = call.#handle;
    call.#handle = null;
    call.#answered = true;
    if (handle) native.callFree(handle);
  }

  get syscall() {
    return this.#info.syscall;
  }

  get name() {
    return this.#info.name;
  }

  /** The thread that calls. */
  get pid() {
    return this.#info.pid;
  }

  /** Six registers, as BigInts: of an int the upper half is rubbish. */
  get args() {
    return this.#info.args;
  }

  get answered() {
    return this.#answered;
  }

  get deferred() {
    return this.#deferred;
  }

  /** Argument `index` as the int that it is to C. */
  int(index) {
    return Number(BigInt.asIntN(32, this.args[index]));
  }

  /** The handler may end without an answer: whoever has the call gives one later, or lets it be collected, which denies it. */
  defer() {
    this.#deferred = true;
    return this;
  }

  read(address, length) {
    return native.callRead(this.#open(), address, length);
  }

  /** The bytes of a string, without its NUL: what a path is made of need not be UTF-8. */
  readBytes(address, capacity = 4096) {
    return native.callReadString(this.#open(), address, capacity);
  }

  readString(address, capacity = 4096) {
    return this.readBytes(address, capacity).toString();
  }

  write(address, data) {
    native.callWrite(this.#open(), address, data);
  }

  continue() {
    this.#answer(native.callContinue);
  }

  deny(errno = 1) {
    this.#answer(native.callDeny, errno);
  }

  return(value) {
    this.#answer(native.callReturn, value);
  }

  returnFd(fd, options = {}) {
    this.#answer(native.callReturnFd, fd, flagsOf(options));
  }

  returnFdAt(fd, number, options = {}) {
    this.#answer(native.callReturnFdAt, fd, number, flagsOf(options));
  }

  returnBytes(data, options = {}) {
    this.#answer(native.callReturnBytes, data, flagsOf(options));
  }

  kill() {
    this.#answer(native.callKill);
  }

  #open() {
    if (!this.#handle) throw failure('STATE', 'supervisor: the call was answered');
    return this.#handle;
  }

  #answer(how, ...values) {
    const handle = this.#open();
    try {
      how(handle, ...values);
    } catch (error) {
      // After a wrong argument it can still be answered; after everything else it cannot.
      if (error.status && error.status !== 'INVALID_ARGUMENT') this.#answered = true;
      throw error;
    }
    Call.free(this);
  }
}

module.exports = { Call };
