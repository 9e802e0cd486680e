package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/vow/internal/client"
)

// newSupply is `vow supply`: have a software release on a computer.
func newSupply(s *session) *cobra.Command {
	remove, wait := false, time.Duration(0)
	command := &cobra.Command{
		Use: "supply RELEASE COMPUTER", GroupID: "act", Short: "Have a software release on a computer, or remove it",
		Long: `Have a software release on a computer, or remove it.

RELEASE is a URL or a path: of a directory, of an archive (tar, tar.gz, tar.zst, tar.bz2, tar.xz, zip), or of a buildout profile that
ends in .cfg. A URL may end in #sha256=…, #sha512=… or #md5=…. Supplying a release again whose installation failed has it
tried at once; one that is there stays as it is, whatever changed where it came from: a new version has another name.`,
		Example: "  vow supply ./examples/hello laptop\n  vow supply https://example.org/hello-1.0.tar.gz#sha256=… laptop --wait 10m",
		Args:    arguments(cobra.ExactArgs(2)),
		ValidArgsFunction: func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveDefault // files
			}
			return s.completeComputers(c, args[1:], prefix)
		},
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
				shown := telemetry.Redacted(url)
				response, err := f.Software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: args[1], State: state})
				if err != nil {
					return fmt.Errorf("cannot supply %s to %q: %w", shown, args[1], err)
				}
				software := response.GetSoftware()
				if wait > 0 {
					if software, err = s.awaitSoftware(c.Context(), f, url, args[1], state, wait); err != nil {
						return err
					}
				}
				if s.json() {
					return s.message(&masterv1.SupplySoftwareResponse{Software: software})
				}
				if was := response.GetSoftware(); !remove && strings.HasPrefix(url, "file:") && was.GetReported() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE {
					fmt.Fprintf(s.errOut, "vow: %s was copied to %s %s, and what changed in it since is not there: a release stays as it was. Supply what is new by another name (cp -r), and request that\n",
						shown, args[1], age(was.GetReportedAt(), time.Now()))
				}
				if wait > 0 {
					fmt.Fprintf(s.out, "%s is %s on %s\n", shown, human.Word(state, "SOFTWARE_STATE_"), args[1])
					return nil
				}
				fmt.Fprintf(s.out, "%s is to be %s on %s\n  how far it is: vow software --computer %s\n", shown, human.Word(state, "SOFTWARE_STATE_"), args[1], args[1])
				return nil
			})
		},
	}
	command.Flags().BoolVar(&remove, "remove", false, "remove the release")
	command.Flags().DurationVar(&wait, "wait", 0, "wait so long until it is done, and show its progress; fails as soon as an attempt does")
	return command
}
