package sandlock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestScenarios runs the scenarios that every language shares: the table that SANDLOCK_SCENARIOS names.
func TestScenarios(t *testing.T) {
	path := os.Getenv("SANDLOCK_SCENARIOS")
	if path == "" {
		path = "../scenarios.txt"
	}
	text, err := os.ReadFile(path)
	must(t, err)
	table, problems := readScenarios(string(text))
	for _, problem := range problems {
		fmt.Println("#", problem)
	}
	if len(problems) > 0 || len(table.list) == 0 {
		os.Exit(2)
	}
	syscall.Umask(0o22)
	port, other := serve(t), serve(t)
	for _, what := range table.list {
		failures := failuresOf(t, &trial{table: table, what: what, tree: t.TempDir(), port: port, other: other,
			asked: make(chan struct{}), over: make(chan struct{})})
		for _, failure := range failures {
			fmt.Printf("# %s: %s\n", what.name, strings.ReplaceAll(failure, "\n", "|"))
			t.Errorf("%s: %s", what.name, failure)
		}
		verdict := map[bool]string{true: "ok", false: "not ok"}[len(failures) == 0]
		fmt.Println(verdict, "scenario", what.name)
	}
}

// runOutcome is what became of a run.
type runOutcome struct {
	result      *Result
	err         error
	reason      string
	out, errors string
}

func failuresOf(t *testing.T, trial *trial) (failures []string) {
	for _, file := range trial.what.all("file") {
		must(t, os.WriteFile(filepath.Join(trial.tree, file.words[0]), []byte(file.words[1]), 0o644))
	}
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	outcomes := []runOutcome{{}}
	policy, err := trial.policy()
	var supervisor *Supervisor
	if err == nil {
		supervisor, err = trial.supervise(ctx)
	}
	if err != nil {
		outcomes[0].err = err
	} else {
		outcomes = runAll(ctx, trial, policy, supervisor)
	}
	stop()
	trial.end(supervisor)
	for i, outcome := range outcomes {
		failures = append(failures, trial.check(i, outcome)...)
	}
	return failures
}

func runAll(ctx context.Context, trial *trial, policy *Policy, supervisor *Supervisor) []runOutcome {
	count := 1
	if concurrent, given := trial.what.get("concurrent"); given {
		count = number(concurrent)
	}
	outcomes := make([]runOutcome, count)
	var all sync.WaitGroup
	for i := range outcomes {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			outcomes[i] = trial.run(ctx, policy, supervisor, i)
		}(i)
	}
	all.Wait()
	return outcomes
}

func (t *trial) run(ctx context.Context, policy *Policy, supervisor *Supervisor, run int) (o runOutcome) {
	var argv []string
	for _, arg := range t.what.all("arg") {
		argv = append(argv, t.expand(arg.words[0], run))
	}
	if text, given := t.what.get("timeout"); given {
		limited, cancel := context.WithTimeout(ctx, time.Duration(number(text))*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := Command(ctx, policy, argv[0], argv[1:]...)
	cmd.Supervisor, cmd.Stdout, cmd.Stderr = supervisor, Capture, Capture
	if input, given := t.what.get("stdin"); given {
		cmd.Stdin = strings.NewReader(t.expand(input, run))
	}
	if steps := t.what.all("step"); len(steps) > 0 {
		o.out, o.errors, o.err = t.takeSteps(cmd, steps, cancel, run)
		o.result = cmd.Result
	} else {
		o.err = cmd.Run()
		if o.result = cmd.Result; o.result != nil {
			o.out, o.errors = string(o.result.Stdout), string(o.result.Stderr)
		}
	}
	var exit *ExitError
	if o.result != nil {
		o.reason = o.result.Reason.String()
	}
	switch {
	case errors.As(o.err, &exit), o.result != nil && errors.Is(o.err, context.Canceled):
		o.err = nil
	case o.result != nil && errors.Is(o.err, context.DeadlineExceeded):
		// The time is the context's, so it is the error that says so.
		o.err, o.reason = nil, "timeout"
	}
	return o
}

// takeSteps talks with the program.
func (t *trial) takeSteps(cmd *Cmd, steps []scenarioLine, cancel func(), run int) (out, errs string, err error) {
	var kept bytes.Buffer
	cmd.Stdout, cmd.Stderr = nil, &kept
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", "", err
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return "", "", err
	}
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	heard := bufio.NewReader(from)
	for _, step := range steps {
		text := ""
		if len(step.words) > 1 {
			text = t.expand(step.words[1], run)
		}
		if err := t.takeStep(cmd, step.words[0], text, in, heard, cancel); err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			return "", "", fmt.Errorf("step %s: %w", step.words[0], err)
		}
	}
	in.Close()
	rest, err := io.ReadAll(heard)
	if err == nil {
		err = cmd.Wait()
	}
	return string(rest), kept.String(), err
}

func (t *trial) takeStep(cmd *Cmd, verb, text string, in io.Writer, heard *bufio.Reader, cancel func()) (err error) {
	switch verb {
	case "say":
		_, err = io.WriteString(in, text)
	case "hear":
		var line string
		if line, err = heard.ReadString('\n'); err == nil && line != text+"\n" {
			err = fmt.Errorf("heard %q, not %q", line, text)
		}
	case "asked":
		<-t.asked
	case "cancel":
		cancel()
	case "signal":
		err = cmd.Process.Signal(syscall.Signal(number(text)))
	case "net":
		err = cmd.Process.UpdateNet([]string{text}, nil)
	case "net-none":
		err = cmd.Process.UpdateNet([]string{}, nil)
	case "net-reset":
		err = cmd.Process.UpdateNet(nil, nil)
	default:
		err = errors.New("there is no such step")
	}
	return err
}

// check says what is not as expected.
func (t *trial) check(run int, o runOutcome) (failures []string) {
	expected := t.what.all("expect")
	fails := false
	for _, line := range expected {
		fails = fails || line.words[0] == "error"
	}
	var failed *Error
	if fails != errors.As(o.err, &failed) || !fails && (o.err != nil || o.result == nil) {
		return []string{fmt.Sprintf("run %d gives the error %v", run, o.err)}
	}
	for _, line := range expected {
		text := ""
		if len(line.words) > 1 {
			text = t.expand(line.words[1], run)
		}
		if found, holds := t.holds(line.words, text, o, failed); !holds {
			failures = append(failures, fmt.Sprintf("run %d: %s was expected, and is %q", run, line.words, found))
		}
	}
	return failures
}

func (t *trial) holds(words []string, text string, o runOutcome, failed *Error) (found string, holds bool) {
	switch words[0] {
	case "stdout-has":
		return o.out, strings.Contains(o.out, text)
	case "stdout-lacks":
		return o.out, !strings.Contains(o.out, text)
	case "stderr-has":
		return o.errors, strings.Contains(o.errors, text)
	case "file":
		found := t.content(words[1])
		return found, found == words[2]
	case "gone":
		found := t.content(words[1])
		return found, found == "(no file)"
	case "reason":
		found = o.reason
	case "limit":
		found = o.result.Limit.String()
	case "code":
		found = fmt.Sprint(o.result.ExitCode)
	case "signal":
		found = fmt.Sprint(int(o.result.Signal))
	case "stdout", "no-stdout":
		found = o.out
	case "stderr", "no-stderr":
		found = o.errors
	case "error":
		found = failed.Status.String()
	case "stage":
		found = failed.Stage.String()
	case "errno":
		found = fmt.Sprint(int(failed.Errno))
	case "message":
		found = failed.Message
	case "calls":
		t.mu.Lock()
		defer t.mu.Unlock()
		found = fmt.Sprint(t.calls)
	default:
		return "nothing", false
	}
	return found, found == text
}

func (t *trial) content(name string) string {
	text, err := os.ReadFile(filepath.Join(t.tree, name))
	if err != nil {
		return "(no file)"
	}
	return string(text)
}
