package builtin

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

const gigabyte = 1 << 30

// freeDiskSpace is check_free_disk_space. The original reads what `slapos node collect` wrote of the disk into a database a
// minute ago; this one asks the kernel now.
func freeDiskSpace() Sensor {
	return freeDiskSpaceOf(func(path string) (disk, error) {
		var s unix.Statfs_t
		err := unix.Statfs(path, &s)
		size := float64(s.Bsize)
		return disk{
			free: float64(s.Bavail) * size, used: float64(s.Blocks-s.Bfree) * size, inodes: float64(s.Files), freeInodes: float64(s.Ffree),
		}, err
	}, mounted)
}

// disk is what the kernel tells of a file system: bytes that a user may use and that are used, inodes.
type disk struct{ free, used, inodes, freeInodes float64 }

func freeDiskSpaceOf(ask func(path string) (disk, error), mounted func(path string) bool) Sensor {
	return Sensor{
		Name:    "check_free_disk_space",
		Summary: "Fails when the disk of the partition's directory has less free space than a threshold, or 98 % of its inodes are used.",
		Example: `{"threshold": 2}`,
		Options: []Option{
			{Name: "threshold", Default: "5 % of the disk", Text: "Free space that there must be, in GiB."},
			{Name: "collectordb", Text: "Accepted: the kernel is asked, not the collector's database."},
			{Name: "display-partition", Default: "0", Text: "Accepted: which partitions are the biggest is not known without the collector's database."},
			{Name: "display-prediction", Default: "0", Text: "1: says that there is no prediction; it needs the Python module."},
			{Name: "nb-days-predicted", Text: "Accepted."},
			{Name: "test-check-date", Text: "Accepted."},
			{Name: "test-check-time", Text: "Accepted."},
			{Name: "test-disk-partition", Text: "Accepted."},
		},
		Period:  time.Hour,
		Windows: "test 1 of 1; anomaly 3 of 3, does not bang: a person has to look",
		prepare: func(c *Config) Check {
			threshold := c.Float("threshold", -1)
			prediction := c.Bool("display-prediction", false)
			return Check{Anomaly: Rule{ResultCount: 3, FailureAmount: 3}, Quiet: true, sense: func(_ context.Context, s *Sensing) {
				d, err := ask(s.Directory)
				if err != nil {
					s.error("Couldn't find disk partition: %v", err)
					return
				}
				s.value(d.free)
				if usage := inodeUsage(d); usage != "" {
					s.error("%s", usage)
				} else if mounted("/tmp") {
					if tmp, err := ask("/tmp"); err == nil {
						if usage := inodeUsage(tmp); usage != "" {
							s.error("%s", usage)
						}
					}
				}
				total := d.free + d.used
				least := threshold
				if least < 0 {
					least = math.Round(total/gigabyte*0.05*100) / 100
				}
				if d.free <= least*gigabyte {
					s.error("Free disk space low: remaining %.2f G (disk size: %.0f G, threshold: %.0f G).", d.free/gigabyte, total/gigabyte, least)
					return
				}
				s.info("Current disk usage: OK")
				if prediction {
					s.warning("Trying to use statsmodels and pandas but at least one module is not installed. Prediction skipped.")
				}
			}}
		},
	}
}

func inodeUsage(d disk) string {
	if d.inodes == 0 {
		return "" // the file system has no fixed number of them
	}
	if usage := 100 * (d.inodes - d.freeInodes) / d.inodes; usage >= 98 {
		return fmt.Sprintf("Disk Inodes usage is really high: %.4f%%", usage)
	}
	return ""
}

// mounted reports whether something is mounted at a path: it is on another device than the folder above it.
func mounted(path string) bool {
	var here, above unix.Stat_t
	return unix.Stat(path, &here) == nil && unix.Stat(path+"/..", &above) == nil && (here.Dev != above.Dev || here.Ino == above.Ino)
}
