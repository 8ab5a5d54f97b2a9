package sandlock

import (
	"fmt"
	"strings"
)

// A scenarioLine of bindings/scenarios.txt: its key, and the words behind it.
type scenarioLine struct {
	key   string
	words []string
}

type scenario struct {
	name  string
	lines []scenarioLine
}

func (s *scenario) all(key string) (found []scenarioLine) {
	for _, line := range s.lines {
		if line.key == key {
			found = append(found, line)
		}
	}
	return found
}

// get gives the first word of the last line with this key.
func (s *scenario) get(key string) (string, bool) {
	found := s.all(key)
	if len(found) == 0 {
		return "", false
	}
	return found[len(found)-1].words[0], true
}

type scenarioTable struct {
	list []*scenario
	base []scenarioLine
}

// scenarioWords has for each key the words that may follow, and how many words there are then; "" stands for any. The last word takes
// the rest of the line.
var scenarioWords = map[string]map[string]int{
	"scenario": {"": 1}, "like": {"": 1}, "file": {"": 2}, "toml": {"": 1}, "arg": {"": 1}, "stdin": {"": 1}, "timeout": {"": 1},
	"deadline": {"": 1}, "concurrent": {"": 1},
	"kind": {"policy": 1, "attack": 1, "handler": 1, "limits": 1, "network": 1, "deferral": 1, "concurrent": 1, "cancel": 1, "error": 1},
	"rule": {"allow-path": 3, "clear-env": 1, "set-env": 3, "unset-env": 2, "set-cwd": 2, "set-umask": 2, "syscalls": 2,
		"allow-syscall": 2, "deny-syscall": 3, "limit": 3, "grace": 3, "flag": 2, "strictness": 3, "allow-net": 2, "deny-net": 2,
		"allow-bind": 2, "deny-bind": 2},
	"handler": {"value": 3, "errno": 3, "pass": 2, "run": 2, "bytes": 4, "file": 4, "write": 3, "throws": 2, "silent": 2, "kill": 2,
		"hangs": 2, "never": 2, "later-thread": 3, "later-loop": 3, "later-errno": 3, "gather": 4},
	"step": {"say": 2, "hear": 2, "asked": 1, "cancel": 1, "signal": 2, "net": 2, "net-none": 1, "net-reset": 1},
	"expect": {"reason": 2, "code": 2, "signal": 2, "limit": 2, "stdout": 2, "stdout-has": 2, "stdout-lacks": 2, "no-stdout": 1,
		"stderr": 2, "stderr-has": 2, "no-stderr": 1, "error": 2, "stage": 2, "errno": 2, "message": 2, "calls": 2, "file": 3, "gone": 2},
}

var scenarioEscapes = map[byte]byte{'n': '\n', 't': '\t', '0': 0, '\\': '\\'}

// readScenarios reads a table, and says of each line that it does not understand what is wrong with it, so that none is passed over.
func readScenarios(text string) (table *scenarioTable, problems []string) {
	table = &scenarioTable{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if err := table.read(line); err != nil {
			problems = append(problems, fmt.Sprintf("line %d: %v", i+1, err))
		}
	}
	return table, problems
}

func (t *scenarioTable) read(text string) error {
	key, rest, _ := strings.Cut(text, " ")
	base := key == "base"
	if base {
		key = "rule"
	}
	words, err := scenarioWordsOf(key, rest)
	if err != nil {
		return err
	}
	line := scenarioLine{key, words}
	switch {
	case base:
		t.base = append(t.base, line)
	case key == "scenario":
		t.list = append(t.list, &scenario{name: words[0]})
	case len(t.list) == 0:
		return fmt.Errorf("before the first scenario stands %q", key)
	case key == "like":
		return t.addLike(words[0])
	default:
		last := t.list[len(t.list)-1]
		last.lines = append(last.lines, line)
	}
	return nil
}

// addLike adds what another scenario says, but for what it expects.
func (t *scenarioTable) addLike(name string) error {
	last := t.list[len(t.list)-1]
	for _, other := range t.list[:len(t.list)-1] {
		if other.name == name {
			for _, line := range other.lines {
				if line.key != "expect" {
					last.lines = append(last.lines, line)
				}
			}
			return nil
		}
	}
	return fmt.Errorf("no scenario above is named %q", name)
}

func scenarioWordsOf(key, rest string) ([]string, error) {
	verbs, found := scenarioWords[key]
	if !found {
		return nil, fmt.Errorf("unknown key %q", key)
	}
	// The word of a handler is the second one; before it stands the call.
	at, verb := 0, ""
	if key == "handler" {
		at = 1
	}
	count, any := verbs[""]
	if !any {
		start := strings.SplitN(rest, " ", at+2)
		if len(start) > at {
			verb = start[at]
		}
		if count, found = verbs[verb]; !found {
			return nil, fmt.Errorf("unknown word after %q", key)
		}
	}
	words := strings.SplitN(rest, " ", count)
	if len(words) != count {
		return nil, fmt.Errorf("too few words after %q", key)
	}
	if !any && words[at] != verb {
		return nil, fmt.Errorf("too many words after %q", key)
	}
	for i, word := range words {
		text, err := scenarioText(word)
		if err != nil {
			return nil, err
		}
		words[i] = text
	}
	return words, nil
}

// scenarioText is a word as it is meant: \n, \t, \0 and \\ are single bytes.
func scenarioText(word string) (string, error) {
	var text []byte
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c == '\\' {
			var known bool
			if i++; i < len(word) {
				c, known = scenarioEscapes[word[i]]
			}
			if !known {
				return "", fmt.Errorf("unknown escape in %q", word)
			}
		}
		text = append(text, c)
	}
	return string(text), nil
}
