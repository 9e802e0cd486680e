package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newSupply is `vow supply`: have a software release on a computer.
func newSupply(s *session) *cobra.Command {
	remove := false
	command := &cobra.Command{
		Use: "supply RELEASE COMPUTER", GroupID: "act", Short: "Have a software release on a computer, or remove it",
		Long:    "Have a software release on a computer, or remove it.\n\nRELEASE is a URL, or the path of a directory.",
		Example: "  vow supply ./examples/hello laptop",
		Args:    arguments(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			url, err := releaseURL(args[0])
			if err != nil {
				return usageError{err}
			}
			state := masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
			if remove {
				state = masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: args[1], State: state})
				if err != nil {
					return fmt.Errorf("cannot supply %s to %q: %w", url, args[1], err)
				}
				if s.json() {
					return s.message(response)
				}
				fmt.Fprintf(s.out, "%s is to be %s on %s\n  how far it is: vow computer %s\n", url, word(state, "SOFTWARE_STATE_"), args[1], args[1])
				return nil
			})
		},
	}
	command.Flags().BoolVar(&remove, "remove", false, "remove the release")
	return command
}
