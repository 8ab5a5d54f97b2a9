'use strict';

const { getSystemErrorName } = require('node:util');

const stages = [
  '',
  'arguments',
  'policy',
  'landlock',
  'seccomp',
  'descriptors',
  'spawn',
  'process',
  'cwd',
  'limits',
  'privileges',
  'exec',
  'wait',
  'supervisor',
  'namespaces',
  'network',
];

/** What the library could not do, and why. */
class SandlockError extends Error {
  constructor(statusNumber, status, stageNumber, errno, message) {
    super(message || status);
    this.name = 'SandlockError';
    this.code = `SANDLOCK_${status}`;
    this.status = status;
    this.statusNumber = statusNumber;
    this.stage = stages[stageNumber] ?? String(stageNumber);
    this.errno = errno;
    this.errnoName = errno > 0 ? getSystemErrorName(-errno) : '';
  }
}

/** A failure that the binding finds before it asks the library. */
function failure(status, message) {
  const numbers = { INVALID_ARGUMENT: -1, STATE: -2, TIMEOUT: -9 };
  return new SandlockError(numbers[status], status, 0, 0, message);
}

module.exports = { SandlockError, failure, stages };
