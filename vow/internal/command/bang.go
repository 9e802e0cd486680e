package command

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// newBang is `vow bang`: make every partition of a tree run again.
func newBang(s *session) *cobra.Command {
	var message string
	var computer, dry bool
	var wait time.Duration
	command := &cobra.Command{
		Use: "bang TREE", GroupID: "act", Short: "Make every partition of a tree run again",
		Example: "  vow bang hello --message 'after the upgrade'\n  vow bang hello --wait 30s\n  vow bang --computer laptop",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			if dry && wait > 0 {
				return usageError{errors.New("cannot --wait for a --dry-run: nothing is banged")}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := bang(ctx, f, args[0], computer, dry, message)
				if err != nil {
					return err
				}
				took := map[string]time.Duration{} // by convergence
				if wait > 0 {
					for _, r := range response.GetResults() {
						if r.GetConvergenceId() == "" {
							continue // it was withheld, and says why
						}
						if took[r.GetConvergenceId()], err = await(c.Context(), f, r.GetConvergenceId(), wait); err != nil {
							return err
						}
					}
				}
				if s.json() {
					return s.message(response)
				}
				if dry {
					for _, r := range response.GetResults() {
						fmt.Fprintf(s.out, "%s would be %s\n", r.GetBangId(), strings.TrimSuffix(human.Word(r.GetOutcome(), "BANG_OUTCOME_")+", "+r.GetReason(), ", "))
						printRehearsal(s.out, r.GetRehearsal())
					}
					return nil
				}
				for _, r := range response.GetResults() {
					fmt.Fprintf(s.out, "%s %s, generation %s, trace %s\n", r.GetBangId(), human.Word(r.GetOutcome(), "BANG_OUTCOME_"), generation(r.GetGeneration()), r.GetTraceId())
					if r.GetReason() != "" {
						fmt.Fprintf(s.out, "  %s\n", r.GetReason())
					}
					if d, ended := took[r.GetConvergenceId()]; ended {
						fmt.Fprintf(s.out, "  converged after %s: vow trace %s\n", human.Span(d), r.GetBangId())
						continue
					}
					fmt.Fprintf(s.out, "  what follows: vow trace %s\n", r.GetBangId())
				}
				return nil
			})
		},
	}
	command.Flags().StringVarP(&message, "message", "m", "", "why, for people")
	command.Flags().BoolVar(&computer, "computer", false, "the argument is a computer: bang each tree on it")
	command.Flags().BoolVar(&dry, "dry-run", false, "write nothing; say what would be decided and what would run")
	command.Flags().DurationVar(&wait, "wait", 0, "wait so long until every partition has run successfully")
	return command
}

// bang sends one bang; it is sent again with the same id while svc-master does not answer.
func bang(ctx context.Context, f *client.Fleet, target string, computer, dry bool, message string) (*masterv1.BangResponse, error) {
	request := &masterv1.BangRequest{Source: whoami(), Message: message, DryRun: dry}
	if computer {
		request.Target = &masterv1.BangRequest_Computer{Computer: target}
	} else {
		tree, err := getTree(ctx, f, target)
		if rpc.IsNotFound(err) {
			return nil, notATree(ctx, f, target, err)
		}
		if err != nil {
			return nil, err
		}
		request.Target = &masterv1.BangRequest_TreeId{TreeId: tree.GetTreeId()}
	}
	return f.Vow.Bang(ctx, request)
}

// notATree says what else was meant, if it can be told.
func notATree(ctx context.Context, f *client.Fleet, name string, err error) error {
	of, _, inside := strings.Cut(name, "/")
	if _, missing := getTree(ctx, f, of); inside && missing == nil {
		return usageError{fmt.Errorf("cannot bang %q alone: every partition of a tree runs; want vow bang %s", name, of)}
	}
	if _, missing := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: name}); missing == nil {
		return usageError{fmt.Errorf("cannot bang %q: it is a computer; want vow bang --computer %[1]s for each tree on it", name)}
	}
	return err
}

// await follows a convergence until it is closed, and says how long it was open.
func await(ctx context.Context, f *client.Fleet, id string, wait time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c, err := f.Vow.WaitConverged(ctx, id)
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, fmt.Errorf("%w: waited %s", err, human.Span(wait))
	}
	return c.GetClosedAt().AsTime().Sub(c.GetOpenedAt().AsTime()), err
}

// whoami names who bangs, for the record.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}
