package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/svc-node/profile"
)

// newProfile is `vow profile`: for authors of instance profiles.
func newProfile(s *session) *cobra.Command {
	group := &cobra.Command{Use: "profile", GroupID: "local", Short: "Work on instance profiles"}
	var softwareType string
	var parameters []string
	var diffs, python bool
	check := &cobra.Command{
		Use: "check FILE", Short: "Tell what is wrong with a profile and what it would deploy, without a node",
		Long: `Tell what is wrong with a profile and what it would deploy, without a node.

The profile is planned in an empty directory, as if every instance it requests were ready. What only a request can tell
reads TITLE:PARAMETER. Nothing is run, requested or published, but with --python the Python that the profile sets options
with (init of slapos.recipe.build).`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil {
				return fmt.Errorf("cannot check %s: %w", args[0], err)
			} else if info.IsDir() {
				args[0] = filepath.Join(args[0], "instance.cfg")
			}
			executable, err := os.Executable()
			if err != nil {
				return fmt.Errorf("cannot check %s: %w", args[0], err)
			}
			env := profile.Environment{
				SoftwareType: softwareType, RequestedState: "started", InstanceTitle: "check", RootInstanceTitle: "check",
				IPv4: []string{"127.0.0.1"}, IPv6: []string{"::1"}, Executable: executable, Parameters: map[string]string{},
			}
			for _, p := range parameters {
				name, value, ok := strings.Cut(p, "=")
				if !ok {
					return usageError{fmt.Errorf("cannot use --parameter %q: want key=value", p)}
				}
				env.Parameters[name] = value
			}
			plan, err := app.CheckProfile(c.Context(), args[0], env, python)
			if err != nil {
				return err
			}
			if s.json() {
				return s.message(plan)
			}
			return printPlan(s, plan, diffs)
		},
	}
	check.Flags().StringVar(&softwareType, "type", "default", "software `type` of the instance")
	check.Flags().StringArrayVarP(&parameters, "parameter", "p", nil, "a parameter, `key=value`; may be repeated")
	check.Flags().BoolVar(&python, "python", false, "run the Python that the profile sets options with, in an empty directory")
	check.Flags().BoolVar(&diffs, "diff", false, "show the content of the files too")
	group.AddCommand(check)
	return group
}
