// The worker of the bench in Go: see benches/bindings.c for what it is asked and answers.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"sandlock"
)

func spawnTrue(policy *sandlock.Policy, count int) {
	start := time.Now()
	for ; count > 0; count-- {
		if err := sandlock.Command(context.Background(), policy, "/bin/true").Run(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(time.Since(start).Nanoseconds())
}

func timeHandler(policy *sandlock.Policy, program string, count int) {
	supervisor, err := sandlock.NewSupervisor(nil)
	if err == nil {
		err = supervisor.Handle("getppid", func(call *sandlock.Call) { call.Return(7) })
	}
	if err != nil {
		log.Fatal(err)
	}
	defer supervisor.Close()
	result, err := sandlock.Run(context.Background(), policy, supervisor, program, "time-getppid", fmt.Sprint(count))
	if err != nil || !result.Success() {
		log.Fatal(err, result)
	}
	fmt.Print(string(result.Stdout))
}

func main() {
	program := os.Args[1]
	policy := sandlock.NewPolicy().AllowPath(filepath.Dir(program), sandlock.AccessReadExecute).ClearEnv()
	for _, directory := range []string{"/usr", "/bin", "/lib", "/lib64", "/etc", "/opt"} {
		policy.AllowPath(directory, sandlock.AccessReadExecute|sandlock.AccessOptional)
	}
	for {
		var task string
		var count int
		if _, err := fmt.Scan(&task, &count); err != nil {
			return
		}
		if task == "spawn" {
			spawnTrue(policy, count)
		} else {
			timeHandler(policy, program, count)
		}
	}
}
