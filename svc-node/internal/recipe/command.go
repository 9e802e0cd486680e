package recipe

import (
	"context"
	"errors"
	"fmt"
)

// command is plone.recipe.command.
func command() *Recipe {
	run := func(option string) func(context.Context, *Work) error {
		return func(ctx context.Context, w *Work) error {
			text := w.Get(option)
			if text == "" {
				return nil
			}
			if err := w.Exec(ctx, text); err != nil {
				err = fmt.Errorf("cannot run the command: %w", err)
				if isTrue(w.Get("stop-on-error")) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
					return w.Error(option, "%w", err)
				}
			}
			return nil
		}
	}
	return &Recipe{
		Name:    "plone.recipe.command",
		Aliases: []string{"slapos.recipe.command"},
		Summary: "Runs a shell command as the partition's user when the part is installed.",
		Options: []Option{
			{Name: "command", Required: true, Text: "Run when the part is installed or changed; after a crash it may run again."},
			{Name: "update-command", Text: "Run on each run in which the part did not change."},
			{Name: "stop-on-error", Default: "false", Text: "Whether a failing command fails the part."},
			{Name: "location", Text: "Accepted; what the command makes there is data and stays."},
		},
		Signature: 1, Executes: true,
		Install: run("command"),
		Update:  run("update-command"),
	}
}
