'use strict';

const fs = require('node:fs');
const path = require('node:path');
const sandlock = require('sandlock');

/** Read and execute the system, and nothing else. */
function systemPolicy() {
  const policy = new sandlock.Policy();
  for (const directory of ['/usr', '/bin', '/lib', '/lib64']) policy.allowPath(directory, 'read-execute', { optional: true });
  policy.allowPath('/dev/null', ['read', 'write']);
  return policy.clearEnv();
}

const scratch = fs.mkdtempSync(path.join(process.env.SANDLOCK_TEST_SCRATCH, 'files-'));

function write(name, text) {
  const file = path.join(scratch, name);
  fs.writeFileSync(file, text);
  return file;
}

/** Runs a shell's line; gives the result with texts for bytes. */
async function shell(policy, line, options) {
  return texts(await sandlock.run(policy, ['sh', '-c', line], options));
}

function texts(result) {
  return { ...result, stdout: String(result.stdout), stderr: String(result.stderr) };
}

function count(directory) {
  return fs.readdirSync(directory).length;
}

async function collect(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

module.exports = { sandlock, systemPolicy, scratch, write, shell, texts, count, collect };
