'use strict';

// The host's ends of pipes and terminals, as streams that epoll serves: no thread of libuv waits for them.

const net = require('node:net');
const tty = require('node:tty');
const { Duplex } = require('node:stream');

/** Stream 0 is written to, 1 and 2 are read. */
function pipe(fd, which) {
  return new net.Socket({ fd, readable: which !== 0, writable: which === 0 });
}

/** What is written is typed, what the program prints is read. That nobody is there any more, EIO, is the end. */
function terminal(fd) {
  const master = new tty.ReadStream(fd);
  const stream = new Duplex({
    read() {
      master.resume();
    },
    write(chunk, encoding, done) {
      master.write(chunk, done);
    },
    destroy(error, done) {
      master.destroy();
      done(error);
    },
  });
  master.on('data', (chunk) => {
    if (!stream.push(chunk)) master.pause();
  });
  master.on('end', () => stream.push(null));
  master.on('error', (error) => {
    if (error.code === 'EIO') stream.push(null);
    else stream.destroy(error);
  });
  return stream;
}

module.exports = { pipe, terminal };
