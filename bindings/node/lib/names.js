'use strict';

// The numbers of the header by name: SANDLOCK_LIMIT_NOFILE is "nofile" of "limit", as it is in policies that are TOML.

const { inspect } = require('node:util');
const { native } = require('./native');
const { failure } = require('./error');

const byName = {};
const byNumber = {};

for (const [constant, number] of Object.entries(native.constants)) {
  const at = constant.indexOf('_');
  if (at < 0) continue;
  const group = constant.slice(0, at).toLowerCase();
  const name = constant.slice(at + 1).toLowerCase().replaceAll('_', '-');
  (byName[group] ??= new Map()).set(name, number);
  (byNumber[group] ??= new Map()).set(number, name);
}
// Constants that belong to no group of their own.
for (const name of ['require', 'best-effort', 'disable']) {
  (byName.strictness ??= new Map()).set(name, native.constants[name.toUpperCase().replace('-', '_')]);
}
// Policies that are TOML know these as well.
for (const other of ['read', 'execute']) {
  const bits = native.constants.ACCESS_WRITE | native.constants[`ACCESS_${other.toUpperCase()}`];
  byName.access.set(other === 'read' ? 'read-write' : 'write-execute', bits);
}
byName.stdio.set('ignore', native.constants.STDIO_NULL);
// It is an option of allowPath().
byName.access.delete('optional');

function numberOf(group, name) {
  const number = byName[group].get(name);
  if (number === undefined) {
    const known = [...byName[group].keys()].join(', ');
    throw failure('INVALID_ARGUMENT', `arguments: ${typeof name === 'string' ? JSON.stringify(name) : inspect(name)} is no ${group}; known are ${known}`);
  }
  return number;
}

/** Names or-ed together: one, or an array of them. */
function bitsOf(group, names) {
  return [].concat(names).reduce((bits, name) => bits | numberOf(group, name), 0);
}

function nameOf(group, number) {
  return byNumber[group].get(number) ?? (number === 0 ? null : String(number));
}

module.exports = { numberOf, bitsOf, nameOf };
