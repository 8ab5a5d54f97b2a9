'use strict';

// The host's ends of pipes and terminals, as streams that epoll serves: no thread of libuv waits for them.

const fs = require('node:fs');
const net = require('node:net');
const tty = require('node:tty');
const { Duplex } = require('node:stream');

/** Stream 0 is written to, 1 and 2 are read. */
function pipe(fd, which) {
  return new net.Socket({ fd, readable: which !== 0, writable: which === 0 });
}

/** Time between two tries to type what a program does not read, milliseconds. */
const PAUSE = 10;

/** More than Linux keeps of what was printed and not read: 64 KiB, and what the line discipline has. */
const UNREAD = 1 << 17;

/** What is still to be read in a terminal that nobody prints to any more. */
function unread(fd) {
  const buffer = Buffer.alloc(UNREAD);
  let length = 0;
  try {
    for (let count = 1; count && length < UNREAD; length += count) count = fs.readSync(fd, buffer, length, UNREAD - length);
  } catch (error) {
    // EAGAIN: somebody has opened it again.
    if (error.code !== 'EIO' && error.code !== 'EAGAIN') throw error;
  }
  return buffer.subarray(0, length);
}

/** Gives how many bytes were taken. */
function writeNow(fd, chunk) {
  try {
    return fs.writeSync(fd, chunk);
  } catch (error) {
    if (error.code === 'EAGAIN') return 0;
    throw error;
  }
}

/** What is written is typed, what the program prints is read. That nobody is there any more, EIO, is the end. */
function terminal(fd) {
  const master = new tty.ReadStream(fd);
  const stream = new Duplex({
    read() {
      master.resume();
    },
    // libuv would not give the loop back before all of it is typed, and a program need not read.
    write(chunk, encoding, done) {
      if (master.destroyed) {
        master.write(chunk, done); // says so
        return;
      }
      try {
        const count = writeNow(fd, chunk);
        if (count === chunk.length) done();
        else setTimeout(() => stream._write(chunk.subarray(count), encoding, done), PAUSE);
      } catch (error) {
        done(error);
      }
    },
    destroy(error, done) {
      master.destroy();
      done(error);
    },
  });
  master.on('data', (chunk) => {
    if (!stream.push(chunk)) master.pause();
  });
  master.on('end', () => {
    // libuv takes the hang-up for the end, though a read gives no more than a part of what is there.
    if (master.destroyed) return; // and its descriptor is another's by now
    try {
      const rest = unread(fd);
      if (rest.length) stream.push(rest);
      stream.push(null);
    } catch (error) {
      stream.destroy(error);
    }
  });
  master.on('error', (error) => {
    if (error.code === 'EIO') stream.push(null);
    else stream.destroy(error);
  });
  return stream;
}

module.exports = { pipe, terminal };
