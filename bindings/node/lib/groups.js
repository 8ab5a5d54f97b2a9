'use strict';

// Which calls a group has. The library knows that itself, but its queue does not say for which selector a call came.

const fs = require('node:fs');
const path = require('node:path');

let groups;

function read() {
  groups = new Map();
  for (const line of fs.readFileSync(path.join(__dirname, 'groups.txt'), 'utf8').split('\n')) {
    const at = line.indexOf(':');
    if (line.startsWith('@') && at > 0) groups.set(line.slice(0, at), line.slice(at + 1).trim().split(/\s+/));
  }
}

/** The names of the calls that `selector`, a call or a group, stands for. */
function members(selector, found = new Set()) {
  if (!selector.startsWith('@')) return found.add(selector);
  if (!groups) read();
  for (const member of groups.get(selector) ?? []) members(member, found);
  return found;
}

module.exports = { members };
