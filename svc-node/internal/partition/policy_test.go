package partition

import (
	"testing"

	"github.com/vow-os/vow/svc-node/supervise"
)

func TestAPolicyLimitsEveryProcessAndRanksPartitions(t *testing.T) {
	processes := []supervise.Process{{Key: supervise.Key{Partition: "a"}}, {Key: supervise.Key{Partition: "db"}}, {Key: supervise.Key{Partition: "disk"}}}
	Policy{Limits: supervise.Limits{OpenFiles: 100}, StopLast: []string{"db", "disk"}}.Apply(processes)
	for i, p := range processes {
		if p.Rank != i || p.Limits.OpenFiles != 100 {
			t.Errorf("%s has rank %d and limits %+v", p.Partition, p.Rank, p.Limits)
		}
	}
}
