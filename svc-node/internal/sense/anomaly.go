package sense

import (
	"context"
	"strings"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// maxMessage is the longest message of a bang in bytes.
const maxMessage = 5000

// anomalies does what svc-promise would do with groups of promises' own periodicity: an anomaly bangs while the latest
// run of its partition is a success. Each promise bangs once per successful run: svc-master would give the same answer
// to the same key again. The lock is held; the bang itself is sent by another goroutine.
func (m *Manager) anomalies(ctx context.Context, items []item) {
	seen := map[verdictKey]bool{}
	for _, i := range items {
		key := verdictKey{i.allocationID, i.group.GetPromise()}
		if seen[key] {
			continue
		}
		seen[key] = true
		runs, known := m.s.Runs(i.partition)
		if !known || runs.GetAllocationId() != i.allocationID || !runs.GetLatestSuccess() {
			continue
		}
		v, err := m.verdict(i.allocationID, i.group.GetPromise())
		if err != nil {
			m.s.Telemetry.Log.ErrorContext(ctx, "a promise cannot be evaluated", "partition", i.partition, "error", err)
			continue
		}
		if !v.GetAnomaly() {
			delete(m.banged, key)
			continue
		}
		if v.GetMute() != nil {
			continue
		}
		episode := runs.GetLastSuccessRunId() + "/" + runs.GetRunInProgress()
		if m.banged[key] == episode {
			continue
		}
		m.banged[key] = episode
		text := v.GetMessage()
		if text == "" {
			text = message(i.group)
		}
		m.s.Bang(ctx, i.partition, &masterv1.BangRequest{
			Target:           &masterv1.BangRequest_AllocationId{AllocationId: i.allocationID},
			Origin:           typev1.BangOrigin_BANG_ORIGIN_PROMISE,
			Source:           i.group.GetPromise(),
			Message:          lastBytes(text, maxMessage),
			LastSuccessRunId: runs.GetLastSuccessRunId(),
			RunInProgress:    runs.GetRunInProgress(),
			NoticedAt:        i.group.GetAt(),
			NotAllowed:       i.group.GetBangDisabled() || (i.group.GetOwnAnomaly() != nil && !i.group.GetOwnAnomaly().GetAnomalyResult()),
		})
	}
}

// lastBytes returns the end of s, at most n bytes, as valid UTF-8.
func lastBytes(s string, n int) string {
	if len(s) > n {
		s = s[len(s)-n:]
	}
	return strings.ToValidUTF8(s, "")
}
