'use strict';

// Limits of time, in milliseconds.

const { inspect } = require('node:util');

/** Most that a timer of Node waits; what is told to wait longer does not wait at all. */
const MOST = 0x7fffffff;

/** What the option `timeout` says; Infinity for no limit, which undefined, null and, as in the library, negative numbers are too. */
function limitOf(timeout) {
  if (timeout === undefined || timeout === null) return Infinity;
  if (typeof timeout !== 'number' || Number.isNaN(timeout)) {
    throw new TypeError(`a timeout is a number of milliseconds, not ${inspect(timeout)}`);
  }
  return timeout < 0 ? Infinity : timeout;
}

/** Calls `then` when so much time has passed, be it more than a timer takes. Gives what takes that back. */
function after(milliseconds, then) {
  let timer;
  const start = (left) => {
    timer = left > MOST ? setTimeout(start, MOST, left - MOST) : setTimeout(then, left);
  };
  if (milliseconds < Infinity) start(milliseconds);
  return () => clearTimeout(timer);
}

module.exports = { limitOf, after };
