// Command sh is the shell of svc-node's image: instance profiles write scripts that begin with #!/bin/sh, and an image made of nothing but our programs has no other. POSIX and a
// little more, as mvdan.cc/sh interprets it; `exec` replaces the process, so that the supervisor watches over the service and not over its script.
//
//	sh [-e] SCRIPT [ARGUMENT …]
//	sh [-e] -c COMMAND [NAME [ARGUMENT …]]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

func main() {
	err := run(os.Args[1:])
	var status interp.ExitStatus
	if errors.As(err, &status) {
		os.Exit(int(status))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	var options []string
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-c" {
		options, args = append(options, args[0]), args[1:]
	}
	var file *syntax.File
	var err error
	switch {
	case len(args) == 0:
		return errors.New("cannot run without a script: this shell is not for people")
	case args[0] == "-c":
		if len(args) < 2 {
			return errors.New("cannot run -c without a command")
		}
		file, err = syntax.NewParser().Parse(strings.NewReader(args[1]), "-c")
		args = args[min(len(args), 3):]
	default:
		var script *os.File
		if script, err = os.Open(args[0]); err != nil {
			return err
		}
		file, err = syntax.NewParser().Parse(script, args[0])
		_ = script.Close() // it was only read
		args = args[1:]
	}
	if err != nil {
		return err
	}
	runner, err := interp.New(interp.StdIO(os.Stdin, os.Stdout, os.Stderr), interp.Params(append(append(options, "--"), args...)...), interp.CallHandler(replace))
	if err != nil {
		return err
	}
	return runner.Run(context.Background(), file)
}

// replace carries out `exec PROGRAM …` as a shell does. What is redirected is left to the interpreter, which runs it as a child: its files are its own.
func replace(ctx context.Context, args []string) ([]string, error) {
	h := interp.HandlerCtx(ctx)
	if len(args) < 2 || args[0] != "exec" || h.Stdout != os.Stdout || h.Stderr != os.Stderr {
		return args, nil
	}
	path, err := interp.LookPathDir(h.Dir, h.Env, args[1])
	if err != nil {
		return nil, fmt.Errorf("cannot exec %s: %w", args[1], err)
	}
	if err := os.Chdir(h.Dir); err != nil {
		return nil, err
	}
	// It comes back only with an error.
	return nil, fmt.Errorf("cannot exec %s: %w", path, syscall.Exec(path, args[1:], exported(h.Env)))
}

// exported is the environment of children.
func exported(env expand.Environ) []string {
	var all []string
	for name, variable := range env.Each {
		if variable.Exported && variable.IsSet() {
			all = append(all, name+"="+variable.String())
		}
	}
	return all
}
