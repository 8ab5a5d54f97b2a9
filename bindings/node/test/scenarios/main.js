'use strict';

// The scenarios that every language shares (bindings/scenarios.txt), by this binding.

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const sandlock = require('sandlock');
const { readTable } = require('./table');
const { Trial } = require('./trial');

/** Lines of a stream, and then the rest of it. */
class Heard {
  #chunks;
  #text = '';

  constructor(stream) {
    this.#chunks = stream.setEncoding('utf8')[Symbol.asyncIterator]();
  }

  async line() {
    while (!this.#text.includes('\n') && (await this.#more()));
    const [line, ...rest] = this.#text.split('\n');
    this.#text = rest.join('\n');
    return line;
  }

  async rest() {
    while (await this.#more());
    return this.#text;
  }

  async #more() {
    const { done, value } = await this.#chunks.next();
    if (!done) this.#text += value;
    return !done;
  }
}

/** Talks with a program as the steps say. */
async function takeSteps(trial, what, policy, argv) {
  const controller = new AbortController();
  const options = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', supervisor: trial.supervisor, signal: controller.signal };
  const program = await sandlock.spawn(policy, argv, options);
  const stdout = new Heard(program.stdout);
  const stderr = new Heard(program.stderr);
  const steps = {
    say: (text) => program.stdin.write(text),
    hear: async (text) => {
      const line = await stdout.line();
      if (line !== text) throw new Error(`heard "${line}", not "${text}"`);
    },
    asked: () => trial.asked,
    cancel: () => controller.abort(),
    signal: (number) => program.signal(Number(number)),
    net: (rule) => program.updateNet({ allow: [rule] }),
    'net-none': () => program.updateNet({ allow: [] }),
    'net-reset': () => program.updateNet(),
  };
  try {
    for (const [verb, text = ''] of what.all('step')) await steps[verb](trial.expand(text));
    program.stdin.end();
    const [out, err] = await Promise.all([stdout.rest(), stderr.rest()]);
    return { ...(await program.wait()), out, err };
  } finally {
    await program.kill();
  }
}

async function runOnce(trial, what, policy, run) {
  const argv = what.all('arg').map(([word]) => trial.expand(word, run));
  try {
    if (what.get('step')) return await takeSteps(trial, what, policy, argv);
    const input = what.get('stdin');
    const result = await sandlock.run(policy, argv, {
      supervisor: trial.supervisor,
      timeout: Number(what.get('timeout') ?? 30000),
      ...(input !== undefined && { input: trial.expand(input, run) }),
    });
    return { ...result, out: String(result.stdout), err: String(result.stderr) };
  } catch (error) {
    return { error };
  }
}

/** Gives [what was found, whether it is as expected]. */
function look(trial, run, outcome, what, words) {
  const text = trial.expand(words[0] ?? '', run);
  const content = () => {
    try {
      return fs.readFileSync(path.join(trial.tree, words[0]), 'utf8');
    } catch {
      return '(no file)';
    }
  };
  const is = (found) => [found, String(found) === text];
  switch (what) {
    case 'reason':
      return is(outcome.reason);
    case 'limit':
      return is(outcome.limit ?? 'none');
    case 'code':
      return is(outcome.exitCode);
    case 'signal':
      return is(outcome.signal);
    case 'stdout':
    case 'no-stdout':
      return is(outcome.out);
    case 'stderr':
    case 'no-stderr':
      return is(outcome.err);
    case 'stdout-has':
      return [outcome.out, outcome.out.includes(text)];
    case 'stdout-lacks':
      return [outcome.out, !outcome.out.includes(text)];
    case 'stderr-has':
      return [outcome.err, outcome.err.includes(text)];
    case 'error':
      return is(outcome.error.status);
    case 'stage':
      return is(outcome.error.stage);
    case 'errno':
      return is(outcome.error.errno);
    case 'message':
      return is(outcome.error.message);
    case 'calls':
      return is(trial.calls);
    case 'file':
      return [content(), content() === words[1]];
    case 'gone':
      return [content(), content() === '(no file)'];
    default:
      return ['nothing', false];
  }
}

function check(trial, what, outcome, run) {
  const expected = what.all('expect');
  const fails = expected.some(([word]) => word === 'error');
  if (fails !== outcome.error instanceof sandlock.SandlockError || (outcome.error && !fails)) {
    return [`run ${run} gives the error ${outcome.error?.stack}`];
  }
  return expected.flatMap(([word, ...words]) => {
    const [found, holds] = look(trial, run, outcome, word, words);
    return holds ? [] : [`run ${run}: ${word} ${JSON.stringify(words)} was expected, and is ${JSON.stringify(found)}`];
  });
}

async function failuresOf(table, what, ports) {
  const trial = new Trial(table, what, fs.mkdtempSync(path.join(os.tmpdir(), 'sandlock-scenario-')), ...ports);
  let outcomes;
  try {
    const policy = trial.policy();
    trial.supervise();
    const runs = Array.from({ length: Number(what.get('concurrent') ?? 1) }, (_, run) => runOnce(trial, what, policy, run));
    outcomes = await Promise.all(runs);
  } catch (error) {
    outcomes = [{ error }];
  }
  await trial.end();
  const failures = outcomes.flatMap((outcome, run) => check(trial, what, outcome, run));
  fs.rmSync(trial.tree, { recursive: true });
  return failures;
}

function serve() {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

async function main() {
  const table = readTable(fs.readFileSync(process.env.SANDLOCK_SCENARIOS, 'utf8'));
  for (const problem of table.problems) console.log(`# ${problem}`);
  if (table.problems.length || !table.scenarios.length) {
    process.exitCode = 2;
    return;
  }
  process.umask(0o22);
  const servers = [await serve(), await serve()];
  const ports = servers.map((server) => server.address().port);
  for (const what of table.scenarios) {
    const failures = await failuresOf(table, what, ports);
    for (const failure of failures) console.log(`# ${what.name}: ${failure}`.replaceAll('\n', '|'));
    console.log(`${failures.length ? 'not ok' : 'ok'} scenario ${what.name}`);
    if (failures.length) process.exitCode = 1;
  }
  for (const server of servers) server.close();
}

main();
