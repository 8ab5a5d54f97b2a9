'use strict';

const { native } = require('./native');
const { failure } = require('./error');
const { Policy } = require('./policy');
const { spawn } = require('./process');
const { RUN, only } = require('./options');
const { limitOf, after } = require('./time');

/** Kills the sandbox when its time is up, after the warning that the policy asks for. Gives what takes that back, and says
 * whether it came to that. */
function limitTime(process, milliseconds, grace) {
  let late = false;
  const kill = () => process.kill().catch(() => {});
  let stop = after(milliseconds, () => {
    late = true;
    if (!grace) {
      kill();
      return;
    }
    try {
      process.signal(grace[0]);
    } catch {
      // It has just ended.
    }
    stop = after(grace[1], kill);
  });
  return () => {
    stop();
    return late;
  };
}

/** Runs a program to its end: its output is captured, its input is `input` or empty. When `timeout` milliseconds pass, the sandbox
 * is killed and the result says so. When `signal` aborts, it is killed and this rejects. */
async function run(policy, argv, options = {}) {
  for (const name of ['stdin', 'stdout', 'stderr']) {
    if (Object.hasOwn(options, name)) throw failure('INVALID_ARGUMENT', `arguments: run() sees to ${name} itself; spawn() does not`);
  }
  const { input = null, timeout, ...rest } = only(RUN, options);
  const limit = limitOf(timeout);
  const grace = Policy.graceOf(policy);
  // Whatever would be refused later is refused while there is no program yet.
  if (input !== null) native.checkInput(input);
  const how = input === null ? ['null', 'capture'] : ['pipe', 'pipe'];
  const process = await spawn(policy, argv, { ...rest, stdin: how[0], stdout: how[1], stderr: how[1] });
  const isLate = limitTime(process, limit, grace);
  let result;
  let late;
  try {
    result = await (input === null ? process.wait() : process.communicate(input));
  } catch (error) {
    // Nobody else can reach it.
    await process.kill().catch(() => {});
    throw error;
  } finally {
    late = isLate();
  }
  if (late && (result.reason === 'killed' || (grace && result.reason !== 'limit'))) result.reason = 'timeout';
  if (rest.signal?.aborted && result.reason === 'killed') throw rest.signal.reason;
  return result;
}

module.exports = { run };
