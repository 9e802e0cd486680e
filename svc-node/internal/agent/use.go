package agent

import (
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-node/converge"
)

// use is which software release each partition runs, beside the one that it is to run: after an upgrade was requested
// its services go on with the old one until a run succeeded.
type use struct {
	// begun is the release of the latest run, runs that of the latest successful one.
	begun, runs string
}

// begins notes the release of a run that begins.
func (a *Agent) begins(d *masterv1.DesiredPartition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.uses[d.GetPartition()]
	u.begun = d.GetSoftwareRelease()
	a.uses[d.GetPartition()] = u
}

// succeeded notes that the services of a partition are those of the release of its latest run.
func (a *Agent) succeeded(partition string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.uses[partition]
	u.runs = u.begun
	a.uses[partition] = u
}

// runsRelease is the release that a partition's services run; empty = none yet.
func (a *Agent) runsRelease(partition string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.uses[partition].runs
}

// usedReleases lists the software releases that partitions run or are to run.
func (a *Agent) usedReleases() []string {
	var urls []string
	for _, p := range a.node.Load().Partitions() {
		if p.Phase == converge.Free {
			continue
		}
		if d := contentOf(p.Desired); d != nil {
			urls = append(urls, d.GetSoftwareRelease())
		}
		a.mu.Lock()
		u := a.uses[p.Name]
		a.mu.Unlock()
		urls = append(urls, u.runs, u.begun)
	}
	return urls
}
