package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/console/waterfall"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newTrace is `vow trace`: the way from a bang to convergence.
func newTrace(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "trace BANG|CONVERGENCE|TREE", GroupID: "look", Short: "Draw the way from a bang to convergence",
		Long:    "Draw the way from a bang to convergence, from svc-master's timeline. A tree stands for its newest convergence.",
		Example: "  vow trace t0d5j3k9x2m4q.b7\n  vow trace hello",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				convergence, err := getConvergence(ctx, f, args[0])
				if err != nil {
					return err
				}
				if s.json() {
					return s.message(convergence)
				}
				return waterfall.Draw(s.out, convergence, time.Now(), width())
			})
		},
	}
}

// getConvergence finds a convergence by its id, by that of a bang, or as the newest of a tree.
func getConvergence(ctx context.Context, f *client.Fleet, name string) (*masterv1.Convergence, error) {
	id := name
	if m := treeID.FindStringSubmatch(name); m == nil || m[1] == "" || (m[1][1] != 'b' && m[1][1] != 'c') {
		tree, err := getTree(ctx, f, name)
		if err != nil {
			return nil, err
		}
		list, err := f.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: tree.GetTreeId(), PageSize: 1})
		if err != nil {
			return nil, fmt.Errorf("cannot list the convergences of %q: %w", name, err)
		}
		if len(list.GetConvergences()) == 0 {
			return nil, errors.New("cannot draw " + name + ": nothing banged yet; try `vow bang " + name + "`")
		}
		id = list.GetConvergences()[0].GetConvergenceId()
	}
	response, err := f.Convergences.GetConvergence(ctx, &masterv1.GetConvergenceRequest{Id: id})
	if err != nil {
		return nil, fmt.Errorf("cannot get convergence %q: %w", id, err)
	}
	return response.GetConvergence(), nil
}
