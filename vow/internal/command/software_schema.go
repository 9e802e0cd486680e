package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/vow/internal/client"
)

// newSoftwareSchema is `vow software schema`: which parameters the instances of a release take.
func newSoftwareSchema(s *session) *cobra.Command {
	kind, shared, published := "", false, false
	command := &cobra.Command{
		Use: "schema RELEASE", Short: "Say which parameters the instances of a release take: its software types, and the JSON schema of one",
		Long: `Say which parameters the instances of a release take: its software types and, with --type, the JSON schema of one.

RELEASE is a URL or a path. svc-master knows the schema once a node has installed the release; it refuses requests whose parameters are not valid.`,
		Example: "  vow software schema ./examples/hello\n  vow software schema ./examples/hello --type default\n  vow software schema ./examples/hello -o json",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			url, err := releaseURL(args[0])
			if err != nil {
				return usageError{err}
			}
			if kind == "" && (shared || published) {
				return usageError{errors.New("cannot use --shared or --published without --type")}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Software.GetReleaseSchema(ctx, &masterv1.GetReleaseSchemaRequest{SoftwareRelease: url})
				if err != nil {
					return fmt.Errorf("cannot tell the schema of %s: %w", telemetry.Redacted(url), err)
				}
				if kind != "" {
					return s.writeSchema(response, kind, shared, published)
				}
				if s.json() {
					return s.object(schemaObject(response))
				}
				return s.writeTypes(response)
			})
		},
	}
	command.Flags().StringVar(&kind, "type", "", "write the JSON schema of this software `type`")
	command.Flags().BoolVar(&shared, "shared", false, "that of its shared instances")
	command.Flags().BoolVar(&published, "published", false, "that of what it publishes")
	return command
}

// schemaObject is a schema for machines: files are objects.
func schemaObject(r *masterv1.GetReleaseSchemaResponse) map[string]any {
	files := map[string]any{}
	for _, f := range r.GetSchema().GetFiles() {
		if json.Valid(f.GetContent()) {
			files[f.GetPath()] = json.RawMessage(f.GetContent())
		} else {
			files[f.GetPath()] = string(f.GetContent())
		}
	}
	return map[string]any{"digest": r.GetDigest(), "problem": r.GetProblem(), "types": jsonMessages(r.GetTypes()), "files": files}
}

// writeTypes writes a table of the software types.
func (s *session) writeTypes(r *masterv1.GetReleaseSchemaResponse) error {
	switch {
	case r.GetProblem() != "":
		fmt.Fprintf(s.out, "parameters are not checked: %s\n", r.GetProblem())
		return nil
	case r.GetSchema() == nil:
		fmt.Fprintln(s.out, "the release ships no schema: parameters are not checked")
		return nil
	}
	rows := [][]string{{"TYPE", "SHARED", "SERIALISATION", "PARAMETERS", "PUBLISHED", "TITLE", "PROBLEM"}}
	for _, t := range r.GetTypes() {
		shared := "-"
		if t.GetShared() {
			shared = "yes"
		}
		rows = append(rows, []string{t.GetName(), shared, cmp.Or(t.GetSerialisation(), "-"), cmp.Or(t.GetRequest(), "-"), cmp.Or(t.GetResponse(), "-"), cmp.Or(t.GetTitle(), "-"), t.GetProblem()})
	}
	return table(s.out, rows)
}

// writeSchema writes the schema of one type as the release ships it.
func (s *session) writeSchema(r *masterv1.GetReleaseSchemaResponse, kind string, shared, published bool) error {
	var known []string
	for _, t := range r.GetTypes() {
		if t.GetShared() != shared {
			continue
		}
		known = append(known, t.GetName())
		if t.GetName() != kind {
			continue
		}
		name := t.GetRequest()
		if published {
			name = t.GetResponse()
		}
		for _, f := range r.GetSchema().GetFiles() {
			if name != "" && f.GetPath() == path.Clean(name) {
				_, err := s.out.Write(append([]byte(strings.TrimSpace(string(f.GetContent()))), '\n'))
				return err
			}
		}
		return fmt.Errorf("cannot find a schema of that for the software type %q", kind)
	}
	return fmt.Errorf("cannot find the software type %q: the release describes %s", kind, cmp.Or(strings.Join(known, ", "), "none"))
}
