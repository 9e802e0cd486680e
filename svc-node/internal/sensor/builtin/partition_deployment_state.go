package builtin

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// partitionDeploymentState is check_partition_deployment_state.
func partitionDeploymentState() Sensor {
	return Sensor{
		Name:    "check_partition_deployment_state",
		Summary: "Fails when the latest deployment of the partition left an error in `.slapgrid-<partition>-error.log`.",
		Example: `{"monitor-url": "https://[2001:db8::1]:8196/"}`,
		Options: []Option{
			{Name: "monitor-url", Text: "Where var/log is served: the message names the file there."},
		},
		Period:  time.Minute,
		Windows: "test 1 of 1; anomaly 2 of 2, does not bang: the run that failed is tried again anyway",
		prepare: func(c *Config) Check {
			url := c.Text("monitor-url", "")
			return Check{
				Anomaly: Rule{ResultCount: 2, FailureAmount: 2}, Quiet: true,
				sense: func(_ context.Context, s *Sensing) {
					name := "slapgrid-" + s.Partition + "-error.log"
					failed := false
					if err := s.asUser(func() error { failed = deploymentFailed(s.Directory, name); return nil }); err != nil {
						s.error("%v", err)
						return
					}
					switch {
					case failed && url != "":
						s.error("Buildout failed to process %s.\nSee %s/log/%s for more information.", s.Partition, url, name)
					case failed:
						s.error("Buildout failed to process %s.", s.Partition)
					default:
						s.info("buildout is OK")
					}
				},
			}
		},
	}
}

// deploymentFailed looks at the file, and keeps a link to it in var/log while it says something, as the original does.
func deploymentFailed(directory, name string) bool {
	file, link := filepath.Join(directory, "."+name), filepath.Join(directory, "var", "log", name)
	info, err := os.Stat(file)
	failed := err == nil && info.Size() > 0
	_, err = os.Lstat(link)
	switch {
	case failed && err != nil:
		_ = os.Symlink(file, link) // a partition without var/log has no link
	case !failed && err == nil:
		_ = os.Remove(link)
	}
	return failed
}
