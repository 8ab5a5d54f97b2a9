'use strict';

const { numberOf } = require('./names');
const { failure } = require('./error');

const known = new Set([
  ...['stdin', 'stdout', 'stderr', 'captureLimit', 'passFds', 'name', 'rows', 'columns', 'supervisor', 'signal'],
  ...['input', 'timeout'],
]);

/** A stream's mode and descriptor: "pipe", or a number for a descriptor. */
function stream(value) {
  return typeof value === 'number' ? [numberOf('stdio', 'fd'), value] : [numberOf('stdio', value), -1];
}

/** spawn()'s options as the addon takes them. */
function optionsOf(options) {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw failure('INVALID_ARGUMENT', `arguments: there is no option ${JSON.stringify(name)}`);
  }
  const { stdin = 'inherit', stdout = 'inherit', stderr = 'inherit', captureLimit = 0, passFds = [], name = null } = options;
  const streams = [stdin, stdout, stderr].map(stream);
  const pass = passFds.flatMap((fd) => (typeof fd === 'number' ? [fd, fd] : [fd.fd, fd.as ?? fd.fd]));
  const size = [captureLimit, options.rows ?? 0, options.columns ?? 0];
  return {
    modes: streams.map(([mode]) => mode),
    rest: [streams.map(([, fd]) => fd), pass, size, name],
  };
}

/** The option `signal`; undefined and null are none. */
function signalOf(signal) {
  if (signal === undefined || signal === null) return null;
  for (const method of ['throwIfAborted', 'addEventListener', 'removeEventListener']) {
    if (typeof signal[method] !== 'function') throw new TypeError('a signal is an AbortSignal');
  }
  return signal;
}

module.exports = { optionsOf, signalOf };
