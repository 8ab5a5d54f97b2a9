'use strict';

// Reads bindings/scenarios.txt; bindings/README.md says how. Everything unknown in it is a problem, so that no line is passed over.

/** For each key the words that may follow, and how many words there are then; '' stands for any. The last word takes the rest. */
const vocabulary = {
  scenario: { '': 1 },
  like: { '': 1 },
  file: { '': 2 },
  toml: { '': 1 },
  arg: { '': 1 },
  stdin: { '': 1 },
  timeout: { '': 1 },
  deadline: { '': 1 },
  concurrent: { '': 1 },
  kind: { policy: 1, attack: 1, handler: 1, limits: 1, network: 1, deferral: 1, concurrent: 1, cancel: 1, error: 1 },
  rule: {
    ...{ 'allow-path': 3, 'clear-env': 1, 'set-env': 3, 'unset-env': 2, 'set-cwd': 2, 'set-umask': 2, syscalls: 2 },
    ...{ 'allow-syscall': 2, 'deny-syscall': 3, limit: 3, grace: 3, flag: 2, strictness: 3 },
    ...{ 'allow-net': 2, 'deny-net': 2, 'allow-bind': 2, 'deny-bind': 2 },
  },
  handler: {
    ...{ value: 3, errno: 3, pass: 2, run: 2, bytes: 4, file: 4, write: 3, throws: 2, silent: 2, kill: 2, hangs: 2, never: 2 },
    ...{ 'later-thread': 3, 'later-loop': 3, 'later-errno': 3, gather: 4 },
  },
  step: { say: 2, hear: 2, asked: 1, cancel: 1, signal: 2, net: 2, 'net-none': 1, 'net-reset': 1 },
  expect: {
    ...{ reason: 2, code: 2, signal: 2, limit: 2, stdout: 2, 'stdout-has': 2, 'stdout-lacks': 2, 'no-stdout': 1 },
    ...{ stderr: 2, 'stderr-has': 2, 'no-stderr': 1, error: 2, stage: 2, errno: 2, message: 2, calls: 2, file: 3, gone: 2 },
  },
};

const escapes = { n: '\n', t: '\t', 0: '\0', '\\': '\\' };

function split(rest, most) {
  const words = rest.split(' ');
  return words.length <= most ? words : [...words.slice(0, most - 1), words.slice(most - 1).join(' ')];
}

/** A word as it is meant: \n, \t, \0 and \\ are single bytes. */
function plain(word) {
  return word.replace(/\\(.?)/g, (all, letter) => {
    if (!(letter in escapes)) throw new Error(`unknown escape in "${word}"`);
    return escapes[letter];
  });
}

function wordsOf(key, rest) {
  const verbs = Object.hasOwn(vocabulary, key) ? vocabulary[key] : null;
  if (!verbs) throw new Error(`unknown key "${key}"`);
  // The word of a handler is the second one; before it stands the call.
  const at = key === 'handler' ? 1 : 0;
  const verb = '' in verbs ? '' : split(rest, at + 2)[at];
  if (verb === undefined || !Object.hasOwn(verbs, verb)) throw new Error(`unknown word after "${key}"`);
  const words = split(rest, verbs[verb]);
  if (words.length < verbs[verb]) throw new Error(`too few words after "${key}"`);
  if (verb && words[at] !== verb) throw new Error(`too many words after "${key}"`);
  return words.map(plain);
}

class Scenario {
  lines = [];

  constructor(name) {
    this.name = name;
  }

  /** The words of every line with this key. */
  all(key) {
    return this.lines.filter((line) => line.key === key).map(({ words }) => words);
  }

  /** The first word of the last one. */
  get(key) {
    return this.all(key).at(-1)?.[0];
  }
}

/** Gives the scenarios, the rules that all begin with, and what is wrong with the text. */
function readTable(text) {
  const scenarios = [];
  const base = [];
  const problems = [];
  text.split('\n').forEach((line, index) => {
    if (!line || line.startsWith('#')) return;
    try {
      const [first, rest = ''] = split(line, 2);
      const key = first === 'base' ? 'rule' : first;
      const words = wordsOf(key, rest);
      const last = scenarios.at(-1);
      if (first === 'base') base.push(words);
      else if (key === 'scenario') scenarios.push(new Scenario(words[0]));
      else if (!last) throw new Error(`before the first scenario stands "${key}"`);
      else if (key === 'like') {
        const other = scenarios.slice(0, -1).find(({ name }) => name === words[0]);
        if (!other) throw new Error(`no scenario above is named "${words[0]}"`);
        // All that it says, but for what it expects.
        last.lines.push(...other.lines.filter((each) => each.key !== 'expect'));
      } else last.lines.push({ key, words });
    } catch (error) {
      problems.push(`line ${index + 1}: ${error.message}`);
    }
  });
  return { scenarios, base, problems };
}

module.exports = { readTable };
