'use strict';

// Builds the addon: node build.js [DIRECTORY]. It takes a C compiler, pkg-config, the installed library, and the headers of the
// node that runs this; nothing is downloaded. CC, CFLAGS, LDFLAGS and NODE_INCLUDE_DIR are heeded. With --headers it only says where
// those headers are.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

function headers() {
  const named = process.env.NODE_INCLUDE_DIR;
  const places = named
    ? [named]
    : [
        path.resolve(path.dirname(fs.realpathSync(process.execPath)), '../include/node'),
        path.join(process.config.variables.node_prefix || '/usr', 'include/node'),
        '/usr/include/node',
        '/usr/include/nodejs/src',
      ];
  const has = (place, name) => fs.existsSync(path.join(place, name));
  for (const place of places) {
    // Distributions whose node uses the system's libuv have its header where the compiler looks anyway.
    if (has(place, 'node_api.h') && (has(place, 'uv.h') || has('/usr/include', 'uv.h'))) return place;
  }
  throw new Error(`node_api.h and uv.h are not in ${places.join(', ')}: install the headers of node, or set NODE_INCLUDE_DIR`);
}

function words(text) {
  return (text || '').split(/\s+/).filter(Boolean);
}

function pkgConfig(...args) {
  return execFileSync('pkg-config', [...args, 'sandlock'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}

function build(directory) {
  const source = path.join(__dirname, 'src');
  const files = fs.readdirSync(source).filter((name) => name.endsWith('.c')).sort();
  fs.mkdirSync(directory, { recursive: true });
  execFileSync(
    process.env.CC || 'cc',
    [
      ...['-std=c11', '-O2', '-fPIC', '-shared', '-pthread', '-fvisibility=hidden', '-Wall', '-Wextra'],
      ...['-DNAPI_VERSION=8', `-I${headers()}`],
      ...words(process.env.CFLAGS),
      ...words(pkgConfig('--cflags')),
      ...files.map((name) => path.join(source, name)),
      ...['-o', path.join(directory, 'sandlock.node')],
      ...words(process.env.LDFLAGS),
      ...words(pkgConfig('--libs')),
      `-Wl,-rpath,${pkgConfig('--variable=libdir')}`,
    ],
    { stdio: 'inherit' },
  );
}

try {
  if (process.argv[2] === '--headers') console.log(headers());
  else build(path.resolve(process.argv[2] || path.join(__dirname, 'build')));
} catch (error) {
  // The compiler and pkg-config have said what is wrong themselves.
  console.error(`the addon was not built: ${error.message}`);
  process.exitCode = 1;
}
