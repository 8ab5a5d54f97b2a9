'use strict';

const { native } = require('./native');
const { numberOf, bitsOf } = require('./names');
const { only } = require('./options');

const UNLIMITED = native.constants.UNLIMITED;

/** What a program may do. A new one allows nothing. Every method that changes it returns it. */
class Policy {
  #handle;
  #grace = null;

  constructor(handle = native.policyNew()) {
    this.#handle = handle;
  }

  static fromToml(text) {
    const policy = new Policy(native.policyFromToml(text));
    // The binding times run() itself, so it must know of a warning; the library writes it so.
    const grace = /^grace = \[(\d+), (\d+)\]$/m.exec(policy.toToml());
    if (grace) policy.#grace = [Number(grace[1]), Number(grace[2])];
    return policy;
  }

  /** For the other files of the binding. */
  static handleOf(policy) {
    if (!(policy instanceof Policy)) throw new TypeError('a Policy is wanted');
    return policy.#handle;
  }

  static graceOf(policy) {
    if (!(policy instanceof Policy)) throw new TypeError('a Policy is wanted');
    return policy.#grace;
  }

  toToml() {
    return native.policyToToml(this.#handle);
  }

  clone() {
    const copy = new Policy(native.policyClone(this.#handle));
    copy.#grace = this.#grace;
    return copy;
  }

  /** Rejects with every problem that spawn() would have with it on this kernel. */
  async check() {
    await native.policyCheck(this.#handle);
  }

  allowPath(path, access = 'read', options = {}) {
    const { optional = false } = only(['optional'], options);
    native.policyAllowPath(this.#handle, path, bitsOf('access', access) | (optional ? native.constants.ACCESS_OPTIONAL : 0));
    return this;
  }

  setSyscallDefault(mode) {
    native.policySetSyscallDefault(this.#handle, numberOf('syscalls', mode));
    return this;
  }

  allowSyscall(nameOrGroup) {
    native.policyAllowSyscall(this.#handle, nameOrGroup);
    return this;
  }

  denySyscall(nameOrGroup, errno = 1) {
    native.policyDenySyscall(this.#handle, nameOrGroup, errno);
    return this;
  }

  setLimit(limit, value) {
    native.policySetLimit(this.#handle, numberOf('limit', limit), value === 'unlimited' ? UNLIMITED : value);
    return this;
  }

  setCgroup(path) {
    native.policySetCgroup(this.#handle, path);
    return this;
  }

  setGrace(signal, milliseconds) {
    native.policySetGrace(this.#handle, signal, milliseconds);
    this.#grace = signal ? [signal, Number(milliseconds)] : null;
    return this;
  }

  setEnv(name, value) {
    native.policySetEnv(this.#handle, name, value);
    return this;
  }

  clearEnv() {
    native.policyClearEnv(this.#handle);
    return this;
  }

  setCwd(path) {
    native.policySetCwd(this.#handle, path);
    return this;
  }

  setUmask(mask) {
    native.policySetUmask(this.#handle, mask);
    return this;
  }

  setNice(value) {
    native.policySetNice(this.#handle, value);
    return this;
  }

  setCpus(cpus) {
    native.policySetCpus(this.#handle, cpus);
    return this;
  }

  setUser(uid, gid) {
    native.policySetUser(this.#handle, uid, gid);
    return this;
  }

  setNamespace(which, on = true) {
    native.policySetNamespace(this.#handle, numberOf('namespace', which), on);
    return this;
  }

  setFlag(flag, on = true) {
    native.policySetFlag(this.#handle, numberOf('flag', flag), on);
    return this;
  }

  setStrictness(feature, level) {
    native.policySetStrictness(this.#handle, numberOf('feature', feature), numberOf('strictness', level));
    return this;
  }

  /** `''` is a root in memory, null the host's. */
  setRoot(path) {
    native.policySetRoot(this.#handle, path);
    return this;
  }

  addMount(source, target, options = {}) {
    const { write = false } = only(['write'], options);
    native.policyAddMount(this.#handle, source, target, write ? native.constants.MOUNT_WRITE : 0);
    return this;
  }

  addMemoryMount(target, size) {
    native.policyAddMemoryMount(this.#handle, target, size);
    return this;
  }

  allowNet(rule) {
    native.policyAllowNet(this.#handle, rule);
    return this;
  }

  denyNet(rule) {
    native.policyDenyNet(this.#handle, rule);
    return this;
  }

  allowBind(ports) {
    native.policyAllowBind(this.#handle, String(ports));
    return this;
  }

  denyBind(ports) {
    native.policyDenyBind(this.#handle, String(ports));
    return this;
  }

  setNetRefresh(seconds) {
    native.policySetNetRefresh(this.#handle, seconds);
    return this;
  }
}

module.exports = { Policy };
