package sandlock

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// listed reads the names and reasons of unwrapped.txt.
func listed(t *testing.T) map[string]string {
	text, err := os.ReadFile("unwrapped.txt")
	must(t, err)
	reasons := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, reason, found := strings.Cut(line, ": "); found && !strings.HasPrefix(line, "#") {
			reasons[name] = reason
		} else if line != "" && !strings.HasPrefix(line, "#") {
			t.Errorf("unwrapped.txt has a line without a reason: %q", line)
		}
	}
	return reasons
}

// used gives what the code of this package names, comments left out.
func used(t *testing.T, pattern string) map[string]bool {
	var files []string
	for _, kind := range []string{"*.go", "bridge.*"} {
		found, err := filepath.Glob(kind)
		must(t, err)
		files = append(files, found...)
	}
	names := map[string]bool{}
	comments := regexp.MustCompile(`(?s)/\*.*?\*/|(?m)^\s*//.*?$`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		must(t, err)
		for _, name := range regexp.MustCompile(pattern).FindAllString(comments.ReplaceAllString(string(text), ""), -1) {
			names[strings.TrimSuffix(name, "(")] = true
		}
	}
	return names
}

func compare(t *testing.T, what string, there []string, used map[string]bool, reasons map[string]string) {
	known := map[string]bool{}
	for _, name := range there {
		known[name] = true
		if _, left := reasons[name]; used[name] == left {
			t.Errorf("%s %s: used %v, listed in unwrapped.txt %v", what, name, used[name], left)
		}
	}
	for name := range used {
		if !known[name] {
			t.Errorf("%s %s is none of the library's", what, name)
		}
	}
	if len(there) < 50 {
		t.Errorf("only %d of %s found", len(there), what)
	}
}

func TestEveryFunctionIsWrappedOrListed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "scripts/exports.txt"))
	must(t, err)
	there := regexp.MustCompile(`(?m)^sandlock_\w+$`).FindAllString(string(text), -1)
	reasons := listed(t)
	compare(t, "function", there, used(t, `\bsandlock_\w+\(`), reasons)
	known := strings.Join(there, " ") + " "
	for name := range reasons {
		if strings.HasPrefix(name, "sandlock_") && !strings.Contains(known, name+" ") {
			t.Errorf("unwrapped.txt lists %s, which does not exist", name)
		}
	}
}

func TestEveryConstantIsWrappedOrListed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "include/sandlock.h"))
	must(t, err)
	var there []string
	for _, match := range regexp.MustCompile(`(?m)^#define (SANDLOCK_\w+) .`).FindAllStringSubmatch(string(text), -1) {
		if !strings.HasSuffix(match[1], "_INIT") {
			there = append(there, match[1])
		}
	}
	compare(t, "constant", there, used(t, `\bSANDLOCK_\w+\b`), listed(t))
}
