package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newRename is `vow rename`: give an instance another title.
func newRename(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "rename TREE[/TITLE] TITLE", GroupID: "act", Short: "Give a tree's root, or an instance in it, another title",
		Long: `Give a tree's root, or an instance in it, another title. Its data stays where it is; its partition runs, as profiles may use titles.

A requester that goes on requesting an instance under its old title gets another one.`,
		Example: "  vow rename hello greetings\n  vow rename hello/web frontend",
		Args:    arguments(cobra.ExactArgs(2)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				instance, err := findInstance(ctx, f, args[0])
				if err != nil {
					return err
				}
				response, err := f.Instances.RenameInstance(ctx, &masterv1.RenameInstanceRequest{InstanceId: instance.GetInstanceId(), Title: args[1]})
				if err != nil {
					return fmt.Errorf("cannot rename %q: %w", args[0], err)
				}
				return s.done(response, fmt.Sprintf("%s is %q", instance.GetInstanceId(), response.GetInstance().GetTitle()))
			})
		},
	}
}

// findInstance finds the root of a tree, an instance by TREE/TITLE, or one by its id.
func findInstance(ctx context.Context, f *client.Fleet, name string) (*masterv1.Instance, error) {
	title, child, one := strings.Cut(name, "/")
	tree, err := getTree(ctx, f, title)
	if err != nil {
		return nil, err
	}
	for _, i := range tree.GetInstances() {
		switch {
		case i.GetRemnantOf() != "":
		case i.GetInstanceId() == title, !one && !strings.Contains(title, ".") && i.GetRequesterId() == "", one && i.GetTitle() == child:
			return i, nil
		}
	}
	return nil, fmt.Errorf("cannot find instance %q in tree %q", name, tree.GetTitle())
}
