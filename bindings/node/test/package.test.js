'use strict';

// The package: nothing of the header is forgotten, what is described is there, the example says what it is said to.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const sandlock = require('sandlock');

const root = process.env.SANDLOCK_TEST_PACKAGE;
const read = (...parts) => fs.readFileSync(path.join(...parts), 'utf8');
const header = read(process.env.SANDLOCK_TEST_HEADER);

function matches(text, pattern) {
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

function texts(directory) {
  return fs.readdirSync(path.join(root, directory)).map((name) => read(root, directory, name)).join('\n');
}

test('every function is wrapped or named with a reason', () => {
  const exported = matches(read(process.env.SANDLOCK_TEST_CHECKOUT, 'scripts/exports.txt'), /^(sandlock_\w+)$/gm);
  const source = texts('src');
  const used = new Set(matches(source, /\b(sandlock_[a-z_]+)\(/g));
  const named = new Map(matches(read(root, 'unwrapped.txt'), /^(sandlock_.*)$/gm).map((line) => line.split(/:\s+/)));
  assert.ok(exported.length > 100);
  for (const name of exported) {
    const what = used.has(name) ? 'used and listed' : 'neither used nor listed';
    assert.notEqual(used.has(name), named.has(name), `${name} is ${what}`);
    if (named.has(name)) assert.ok(named.get(name)?.length > 10, `${name} has a reason`);
  }
  const lib = texts('lib') + read(root, 'index.js');
  const { native } = require(path.join(root, 'lib/native.js'));
  for (const name of Object.keys(native)) assert.match(lib, new RegExp(`native\\.${name}\\b`), name);
  for (const name of named.keys()) assert.ok(exported.includes(name), `${name} is a function`);
});

test('every number of the header has its name', () => {
  const numbers = [...header.matchAll(/^#define SANDLOCK_([A-Z0-9_]+) (-?\d+)$/gm)];
  assert.ok(numbers.length > 100);
  for (const [, name, value] of numbers) assert.equal(sandlock.constants[name], Number(value), name);
  assert.equal(sandlock.constants.UNLIMITED, 2n ** 64n - 1n);
  assert.equal(sandlock.version, matches(header, /SANDLOCK_VERSION_STRING "([^"]+)"/g)[0]);
  assert.equal(sandlock.version, JSON.parse(read(root, 'package.json')).version);
  const { stages } = require(path.join(root, 'lib/error.js'));
  for (const [, name, value] of header.matchAll(/^#define SANDLOCK_STAGE_([A-Z]+) (\d+)$/gm)) {
    assert.equal(stages[value], name.toLowerCase());
  }
  const groups = path.join(process.env.SANDLOCK_TEST_CHECKOUT, 'scripts/groups.txt');
  assert.equal(read(root, 'lib/groups.txt'), read(groups));
});

test('types and modules name the same things', async () => {
  const types = read(root, 'index.d.ts');
  const names = Object.keys(sandlock).sort();
  const declared = matches(types, /^export (?:class|function|const) (\w+)/gm).sort();
  assert.deepEqual(declared, names);
  const module = await import('sandlock');
  assert.deepEqual(Object.keys(module).filter((name) => name !== 'default').sort(), names);
  assert.equal(module.Policy, sandlock.Policy);
  for (const name of ['Policy', 'Supervisor', 'Process', 'Call']) {
    const body = new RegExp(`export class ${name} {\\n([^]*?)\\n}`).exec(types)[1];
    for (const method of Object.getOwnPropertyNames(sandlock[name].prototype)) {
      assert.match(body, new RegExp(`\\b${method}\\b`), `${name}.${method}`);
    }
    for (const member of matches(body, /^ {2}(?:readonly )?(\w+)[(:]/gm)) {
      if (member !== 'constructor') assert.ok(member in sandlock[name].prototype, `${name}.${member} is there`);
    }
  }
  const known = (message) => message.split('known are ')[1].split(', ');
  const accesses = matches(/export type Access =([^;]*);/.exec(types)[1], /'([^']+)'/g);
  assert.throws(() => new sandlock.Policy().allowPath('/', '?'), ({ message }) => {
    assert.deepEqual(accesses.sort(), known(message).sort());
    return true;
  });
  for (const type of ['Limit', 'Flag', 'Namespace', 'Feature', 'Reason']) {
    const prefix = `${type.toUpperCase()}_`;
    const typed = matches(new RegExp(`export type ${type} =([^;]*);`).exec(types)[1], /'([^']+)'/g);
    const real = Object.keys(sandlock.constants).filter((name) => name.startsWith(prefix));
    assert.deepEqual(typed.sort(), real.map((name) => name.slice(prefix.length).toLowerCase().replaceAll('_', '-')).sort());
  }
});

test('the example of README prints what it says', () => {
  const readme = read(root, 'README.md');
  const code = /```js\n([^]*?)```/.exec(readme)[1];
  const printed = /It prints:\n\n```\n([^]*?)```/.exec(readme)[1];
  const file = path.join(root, '../../example.mjs');
  fs.writeFileSync(file, code);
  assert.equal(execFileSync(process.execPath, [file], { encoding: 'utf8' }), printed);
});

test('npm packs what is needed and nothing else', () => {
  const cache = path.join(process.env.SANDLOCK_TEST_SCRATCH, 'npm');
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--offline', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, HOME: cache, npm_config_cache: cache, npm_config_update_notifier: 'false' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const packed = JSON.parse(output)[0].files.map((file) => file.path).sort();
  const below = (name) => fs.readdirSync(path.join(root, name)).map((file) => `${name}/${file}`);
  const top = ['README.md', 'build.js', 'index.d.mts', 'index.d.ts', 'index.js', 'index.mjs', 'package.json', 'unwrapped.txt'];
  assert.deepEqual(packed, [...top, ...below('lib'), ...below('src')].sort());
});
