package builtin

import (
	"context"

	"github.com/vow-os/vow/svc-node/internal/sensor/child"
	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// commandExecute is check_command_execute.
func commandExecute() Sensor {
	return Sensor{
		Name:    "check_command_execute",
		Summary: "Fails unless a shell command exits with 0. It runs as the partition's user in the partition's directory.",
		Example: `{"command": "redis-cli -s var/redis.sock ping"}`,
		Options: []Option{
			{Name: "command", Required: true, Text: "The command, for /bin/sh."},
			{Name: "result_count", Default: "1", Text: "Window of the anomaly: groups looked at. The key has an underscore."},
			{Name: "failure_amount", Default: "1", Text: "Window of the anomaly: how many of them must have failed."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly failure_amount of result_count, bangs",
		prepare: func(c *Config) Check {
			command := c.Text("command", "")
			return Check{
				Anomaly: c.Rule("result_count", "failure_amount", 1, 1),
				sense: func(ctx context.Context, s *Sensing) {
					result := s.machine.runner.Run(ctx, child.Command{
						Partition: s.Directory, Path: "/bin/sh", Args: []string{"-c", command}, Env: s.Env, User: s.User, Timeout: s.Timeout,
					})
					switch {
					case result.NotStarted != "":
						s.error("ERROR %s during running command %s", result.NotStarted, pythontext.Quote(command))
					case result.TimedOut || result.Stopped:
						s.error("ERROR %s was ended after %s, output: %s", pythontext.Quote(command), s.Timeout, pythontext.QuoteBytes(result.Output))
					case result.Exit != 0 || result.Signal != 0:
						s.error("ERROR %s run with failure, output: %s", pythontext.Quote(command), pythontext.QuoteBytes(result.Output))
					case !result.Passed():
						s.error("ERROR %s %s", pythontext.Quote(command), result.Ending())
					default:
						s.info("OK %s run with success", pythontext.Quote(command))
					}
				},
			}
		},
	}
}
