package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/gen/vowclient"
	"github.com/vow-os/vow/vow/internal/client"
)

// requested is what the flags of `vow request` say.
type requested struct {
	softwareType, state, computer, file string
	parameters                          []string
	retention                           time.Duration
	wait                                time.Duration
	sla                                 slaFlags
	dry, shared                         bool
}

// newRequest is `vow request`: want an instance.
func newRequest(s *session) *cobra.Command {
	var r requested
	command := &cobra.Command{
		Use: "request TITLE RELEASE", GroupID: "act", Short: "Request an instance, or change what is requested",
		Long: `Request an instance, or change what is requested: the same title with another release, type, parameters or state is the upgrade.

RELEASE is the URL of a supplied software release, or a path.`,
		Example: "  vow request hello ./examples/hello -p greeting=hi --wait 1m\n  vow request hello ./examples/hello -p greeting=hi --dry-run",
		Args:    arguments(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			request, err := r.message(args[0], args[1])
			if err != nil {
				return usageError{err}
			}
			if request.DryRun = r.dry; r.dry && r.wait > 0 {
				return usageError{errors.New("cannot --wait for a --dry-run: nothing is requested")}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := requestInstance(ctx, f, request)
				if err != nil {
					return err
				}
				if r.wait > 0 {
					gone, err := awaitRequested(c.Context(), f, response.GetInstance(), r.wait)
					if err != nil {
						return err
					}
					if gone {
						if s.json() {
							return s.message(response)
						}
						fmt.Fprintf(s.out, "%s is gone\n", args[0])
						return nil
					}
					if response, err = requestInstance(ctx, f, request); err != nil { // idempotent: now says ready
						return err
					}
				}
				if s.json() {
					return s.message(response)
				}
				i := response.GetInstance()
				if r.dry {
					printRehearsal(s.out, response.GetRehearsal())
					return nil
				}
				fmt.Fprintf(s.out, "%s is %s, %s\n", i.GetTitle(), i.GetInstanceId(), readiness(response))
				if problem := i.GetParameterProblem(); problem != "" {
					fmt.Fprintf(s.out, "  its parameters are not what its software release wants: %s\n", problem)
				}
				fmt.Fprintf(s.out, "  look at it: vow tree %s\n", i.GetTreeId())
				return nil
			})
		},
	}
	f := command.Flags()
	f.StringVar(&r.softwareType, "type", "", "software `type`")
	f.StringVar(&r.state, "state", "", "started, stopped or destroyed (default: started, or as it is)")
	f.StringVar(&r.computer, "computer", "", "`name` of the computer to put it on (default: anywhere it fits)")
	f.StringArrayVarP(&r.parameters, "parameter", "p", nil, "a parameter, `key=value`; may be repeated")
	f.StringVar(&r.file, "parameters-file", "", "JSON `file` with an object of parameters")
	f.DurationVar(&r.retention, "retention-delay", 0, "how long the content is kept after the instance is destroyed; as its first request said")
	f.BoolVar(&r.shared, "shared", false, "a shared instance: no partition of its own, an instance of that release and type hosts it")
	r.sla.declare(f)
	f.BoolVar(&r.dry, "dry-run", false, "write nothing; say what would change, where it would be put and why not elsewhere, and what would run")
	f.DurationVar(&r.wait, "wait", 0, "wait so long until it is as requested: the tree Green and this instance run since, stopped, or gone")
	_ = command.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"started", "stopped", "destroyed"}, cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("computer", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return s.completeComputers(c, nil, prefix)
	})
	return command
}

// message is the request that the flags ask for.
func (r requested) message(title, release string) (*masterv1.RequestInstanceRequest, error) {
	state, err := requestedState(r.state)
	if err != nil {
		return nil, err
	}
	url, err := releaseURL(release)
	if err != nil {
		return nil, err
	}
	parameters := map[string]string{}
	if r.file != "" {
		data, err := os.ReadFile(r.file)
		if err != nil {
			return nil, fmt.Errorf("cannot read --parameters-file: %w", err)
		}
		if parameters, err = fileParameters(data); err != nil {
			return nil, fmt.Errorf("cannot read --parameters-file %s: %w", r.file, err)
		}
	}
	for _, p := range r.parameters {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("cannot use -p %q: want key=value", p)
		}
		parameters[key] = value
	}
	sla, err := r.sla.message()
	if err != nil {
		return nil, err
	}
	request := &masterv1.RequestInstanceRequest{
		Sla: sla, Shared: r.shared,
		Title: title, SoftwareRelease: url, SoftwareType: r.softwareType,
		Parameters: parameters, State: state, Computer: r.computer,
	}
	if r.retention != 0 {
		request.RetentionDelay = durationpb.New(r.retention)
	}
	return request, nil
}

// fileParameters reads a JSON object of texts.
func fileParameters(data []byte) (map[string]string, error) {
	var all map[string]any
	err := json.Unmarshal(data, &all)
	if broken := new(json.SyntaxError); errors.As(err, &broken) {
		return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(data[:broken.Offset], []byte("\n")), err)
	}
	if err != nil {
		return nil, errors.New("want a JSON object of strings")
	}
	parameters := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		text, ok := all[key].(string)
		if !ok {
			return nil, fmt.Errorf("want a JSON object of strings: %q is none; write a number in quotes, and what is structured as JSON in the parameter \"_\"", key)
		}
		parameters[key] = text
	}
	return parameters, nil
}

// requestInstance sends a request, each time as a new one: an old one's id would get its old answer.
func requestInstance(ctx context.Context, f *client.Fleet, request *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	request.RequestId = vowclient.NewKey()
	return f.Vow.Request(ctx, request)
}

func readiness(r *masterv1.RequestInstanceResponse) string {
	if r.GetReady() {
		return "ready"
	}
	return "not ready: " + r.GetReason()
}

func requestedState(name string) (typev1.RequestedState, error) {
	switch name {
	case "":
		return typev1.RequestedState_REQUESTED_STATE_UNSPECIFIED, nil
	case "started":
		return typev1.RequestedState_REQUESTED_STATE_STARTED, nil
	case "stopped":
		return typev1.RequestedState_REQUESTED_STATE_STOPPED, nil
	case "destroyed":
		return typev1.RequestedState_REQUESTED_STATE_DESTROYED, nil
	default:
		return 0, fmt.Errorf("cannot request --state %q: want started, stopped or destroyed", name)
	}
}

// releaseURL turns a path into a file: URL: that of a directory, an archive or a buildout profile.
func releaseURL(release string) (string, error) {
	if strings.Contains(release, ":") {
		return release, nil
	}
	path, err := filepath.Abs(release)
	if err != nil {
		return "", fmt.Errorf("cannot find release %q: %w", release, err)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot find release %q: want a URL, or the path of a directory, archive or software.cfg", release)
	}
	return (&url.URL{Scheme: "file", Path: path}).String(), nil
}
