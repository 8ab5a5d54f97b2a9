"""Reads bindings/scenarios.txt; bindings/README.md says how. Everything unknown in it is a problem, so that no line is passed over."""

import re

# For each key the words that may follow, and how many words there are then; "" stands for any. The last word takes the rest.
VOCABULARY = {
    "scenario": {"": 1},
    "like": {"": 1},
    "file": {"": 2},
    "toml": {"": 1},
    "arg": {"": 1},
    "stdin": {"": 1},
    "timeout": {"": 1},
    "deadline": {"": 1},
    "concurrent": {"": 1},
    "kind": dict.fromkeys("policy attack handler limits network deferral concurrent cancel error".split(), 1),
    "rule": {
        **dict.fromkeys("clear-env".split(), 1),
        **dict.fromkeys("unset-env set-cwd set-umask syscalls allow-syscall flag".split(), 2),
        **dict.fromkeys("allow-net deny-net allow-bind deny-bind".split(), 2),
        **dict.fromkeys("allow-path set-env deny-syscall limit grace strictness".split(), 3),
    },
    "handler": {
        **dict.fromkeys("pass run throws silent kill hangs never".split(), 2),
        **dict.fromkeys("value errno write later-thread later-loop later-errno".split(), 3),
        **dict.fromkeys("bytes file gather".split(), 4),
    },
    "step": {
        **dict.fromkeys("asked cancel net-none net-reset".split(), 1),
        **dict.fromkeys("say hear signal net".split(), 2),
    },
    "expect": {
        **dict.fromkeys("no-stdout no-stderr".split(), 1),
        **dict.fromkeys("reason code signal limit stdout stdout-has stdout-lacks stderr stderr-has gone".split(), 2),
        **dict.fromkeys("error stage errno message calls".split(), 2),
        **dict.fromkeys("file".split(), 3),
    },
}
ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


class Scenario:
    def __init__(self, name):
        self.name = name
        self.lines = []

    def all(self, key):
        """The words of every line with this key."""
        return [words for each, words in self.lines if each == key]

    def get(self, key, default=None):
        """The first word of the last one."""
        found = self.all(key)
        return found[-1][0] if found else default


class Table:
    def __init__(self, text):
        self.scenarios = []
        self.base = []
        self.problems = []
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.startswith("#"):
                continue
            try:
                self.read(line)
            except ValueError as error:
                self.problems.append(f"line {number}: {error}")

    def read(self, line):
        first, _, rest = line.partition(" ")
        key = "rule" if first == "base" else first
        words = words_of(key, rest)
        if first == "base":
            self.base.append(words)
        elif key == "scenario":
            self.scenarios.append(Scenario(words[0]))
        elif not self.scenarios:
            raise ValueError(f'before the first scenario stands "{key}"')
        elif key == "like":
            other = [scenario for scenario in self.scenarios[:-1] if scenario.name == words[0]]
            if not other:
                raise ValueError(f'no scenario above is named "{words[0]}"')
            # All that it says, but for what it expects.
            self.scenarios[-1].lines += [line for line in other[0].lines if line[0] != "expect"]
        else:
            self.scenarios[-1].lines.append((key, words))


def words_of(key, rest):
    if key not in VOCABULARY:
        raise ValueError(f'unknown key "{key}"')
    verbs = VOCABULARY[key]
    # The word of a handler is the second one; before it stands the call.
    at = 1 if key == "handler" else 0
    verb = "" if "" in verbs else (rest.split(" ", at + 1) + ["", ""])[at]
    if verb not in verbs:
        raise ValueError(f'unknown word after "{key}"')
    words = rest.split(" ", verbs[verb] - 1)
    if len(words) < verbs[verb]:
        raise ValueError(f'too few words after "{key}"')
    if verb and words[at] != verb:
        raise ValueError(f'too many words after "{key}"')
    return [plain(word) for word in words]


def plain(word):
    r"""A word as it is meant: \n, \t, \0 and \\ are single bytes."""

    def byte(match):
        if match[1] not in ESCAPES:
            raise ValueError(f'unknown escape in "{word}"')
        return ESCAPES[match[1]]

    return re.sub(r"\\(.?)", byte, word)
