package builtin

import (
	"context"
	"os"
	"path/filepath"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// fileState is check_file_state.
func fileState() Sensor {
	return Sensor{
		Name:    "check_file_state",
		Summary: "Fails unless a file is absent, empty or not empty, as it should be.",
		Example: `{"filename": "var/log/errors.log", "state": "empty"}`,
		Options: []Option{
			{Name: "filename", Required: true, Text: "Path of the file, relative to the partition's directory unless absolute; looked at as the partition's user."},
			{Name: "state", Text: "`absent`, `empty` or `not-empty`; anything else: that it can be read."},
			{Name: "url", Text: "Where the content can be seen: told when the file should be empty."},
			{Name: "result-count", Default: "1", Text: "Window of test and anomaly: groups looked at."},
			{Name: "failure-amount", Default: "1", Text: "Window of test and anomaly: how many of them must have failed."},
			{Name: "perdiodic-only", Default: "false", Text: "true: runs do not sense it (the spelling is that of the original)."},
			{Name: "report-anomaly", Default: "true", Text: "false: only runs sense it."},
		},
		Period:  usual,
		Windows: "test and anomaly failure-amount of result-count, bangs",
		prepare: func(c *Config) Check {
			name, state, url := c.Text("filename", ""), c.Text("state", ""), c.Text("url", "")
			rule := c.Rule("result-count", "failure-amount", 1, 1)
			return Check{
				Test: rule, Anomaly: rule,
				Testless: c.Bool("perdiodic-only", false), Anomalyless: !c.Bool("report-anomaly", true),
				sense: func(_ context.Context, s *Sensing) { s.fileState(name, state, url) },
			}
		},
	}
}

func (s *Sensing) fileState(name, state, url string) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Directory, path)
	}
	exists, empty := false, false
	err := s.asUser(func() error {
		_, err := os.Stat(path)
		exists = err == nil // as in the original, what may not be looked at is not there
		if !exists || state == "absent" {
			return nil
		}
		head, err := readHead(path, 1)
		empty = len(head) == 0
		return err
	})
	switch {
	case state == "absent" && exists:
		s.error("ERROR %s not absent", pythontext.Quote(name))
	case state == "absent":
		s.info("OK %s state %s", pythontext.Quote(name), pythontext.Quote(state))
	case err != nil:
		s.error("ERROR %s during opening and reading file %s", fileErrorRepr(err), pythontext.Quote(name))
	case !exists:
		s.error("ERROR %s not present", pythontext.Quote(name))
	case state == "empty" && !empty && url != "":
		s.error("ERROR %s not empty, content available at %s", pythontext.Quote(name), url)
	case state == "empty" && !empty:
		s.error("ERROR %s not empty", pythontext.Quote(name))
	case state == "not-empty" && empty:
		s.error("ERROR %s empty", pythontext.Quote(name))
	default:
		s.info("OK %s state %s", pythontext.Quote(name), pythontext.Quote(state))
	}
}
