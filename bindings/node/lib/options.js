'use strict';

const { numberOf } = require('./names');
const { failure } = require('./error');
const { limitOf } = require('./time');

const COMMON = ['captureLimit', 'passFds', 'name', 'supervisor', 'signal'];
const SPAWN = [...COMMON, 'stdin', 'stdout', 'stderr', 'rows', 'columns'];
const RUN = [...COMMON, 'input', 'timeout'];

/** Gives `options` back, if there are none in it but those that are known: one that is misspelt would be taken for not given. */
function only(known, options) {
  if (typeof options !== 'object' || options === null) throw new TypeError('options are an object');
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw failure('INVALID_ARGUMENT', `arguments: there is no option ${JSON.stringify(name)}`);
  }
  return options;
}

/** A stream's mode and descriptor: "pipe", or a number for a descriptor. */
function stream(value) {
  return typeof value === 'number' ? [numberOf('stdio', 'fd'), value] : [numberOf('stdio', value), -1];
}

/** spawn()'s options as the addon takes them. */
function optionsOf(options) {
  only(SPAWN, options);
  const { stdin = 'inherit', stdout = 'inherit', stderr = 'inherit', captureLimit = 0, passFds = [], name = null } = options;
  const streams = [stdin, stdout, stderr].map(stream);
  const pass = passFds.flatMap((fd) => (typeof fd === 'number' ? [fd, fd] : [only(['fd', 'as'], fd).fd, fd.as ?? fd.fd]));
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

/** Those of waiting: a limit and a signal. */
function waitOf(options) {
  const { timeout, signal } = only(['timeout', 'signal'], options);
  return [limitOf(timeout), signalOf(signal)];
}

module.exports = { RUN, only, optionsOf, signalOf, waitOf };
