'use strict';

const { native } = require('./lib/native');
const { SandlockError } = require('./lib/error');
const { Policy } = require('./lib/policy');
const { Supervisor, PASS } = require('./lib/supervisor');
const { Call } = require('./lib/call');
const { Process, spawn } = require('./lib/process');
const { run } = require('./lib/run');

/** What the kernel offers. */
async function probe() {
  return native.probe();
}

module.exports = {
  Policy,
  Supervisor,
  Process,
  Call,
  SandlockError,
  PASS,
  spawn,
  run,
  probe,
  version: native.version,
  versionNumber: native.versionNumber,
  constants: Object.freeze({ ...native.constants }),
};
