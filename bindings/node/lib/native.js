'use strict';

// The addon, and who is called when the loop finds something ready.

const native = require('../build/sandlock.node');
const { SandlockError } = require('./error');

// What is watched, by number: for one that was collected there is nobody to tell. What listens stays until the addon says that
// there is nothing more to be told.
const watched = new Map();
const listeners = new Map();
const collected = new FinalizationRegistry((id) => watched.delete(id));
let last = 0;

function ready(ids) {
  for (const id of ids) watched.get(id)?.deref()?.();
}

function told(id, message) {
  if (message) listeners.get(id)?.(message);
  else listeners.delete(id);
}

native.start((...parts) => new SandlockError(...parts), ready, told);
// No sandbox outlives the process, or the worker thread, however it exits.
process.on('exit', () => native.end());

/** Calls `notice` while what `handle` stands for is ready, for as long as somebody else keeps `notice`. */
function watch(handle, notice) {
  const id = ++last;
  native.watch(handle, id);
  watched.set(id, new WeakRef(notice));
  collected.register(notice, id);
  return id;
}

function unwatch(handle, id) {
  native.unwatch(handle);
  watched.delete(id);
}

/** A number by which messages come to `listener`. */
function listen(listener) {
  const id = ++last;
  listeners.set(id, listener);
  return id;
}

module.exports = { native, watch, unwatch, listen };
