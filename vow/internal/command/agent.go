package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/svc-node/app/supervisor"
	"github.com/vow-os/vow/vow/internal/local"
)

// errExit ends with the code of an embedded command that has said everything itself.
type errExit struct{ code int }

func (errExit) Error() string { return "" }

// newAgent is svc-node in this executable, as the supervisor of `vow up` starts it.
func newAgent(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "agent", Hidden: true, Short: "Run svc-node for the data directory of vow up", Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if s.data == "" {
				return usageError{errors.New("cannot run the agent: --data is missing")}
			}
			return exit(local.RunAgent(s.data, Version, s.out, s.errOut))
		},
	}
}

// newSupervisor is vow-supervisor in this executable.
func newSupervisor(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "supervisor", Hidden: true, Short: "Run vow-supervisor", DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return exit(supervisor.Main(args, s.errOut)) },
	}
}

func exit(code int) error {
	if code == exitOK {
		return nil
	}
	return errExit{code}
}
