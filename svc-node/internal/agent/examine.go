package agent

import (
	"context"
	"fmt"
	"strings"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/kit/examine"
)

// Examine looks at the machine and at what the agent holds of it. It ends with ctx.
func (a *Agent) Examine(ctx context.Context) []examine.Check {
	checks := append(a.examineDisks(), a.examineLinks(), a.examineSpools())
	processes, err := a.Processes(ctx, "")
	if err != nil {
		return append(checks, examine.Bad(examine.Fail, "supervisor", "systemctl status vow-supervisor on the machine; services live on without it, and nothing starts them again", "it does not answer: %v", err))
	}
	return append(checks, examine.Well("supervisor", "it keeps %d processes", len(processes)), examineLimits(processes))
}

// examineDisks looks at those of the partitions and of the agent's state.
func (a *Agent) examineDisks() []examine.Check {
	const name = "disks"
	rooms, err := a.disk.Rooms()
	if bad := a.disk.Err(); bad != nil {
		err = bad
	}
	if err != nil {
		return []examine.Check{examine.Bad(examine.Fail, name, "make room; nothing that was begun is lost, and what waits runs by itself (docs/node-disk.md)", "%v", err)}
	}
	var checks []examine.Check
	for _, r := range rooms {
		found := fmt.Sprintf("%d MiB of %d MiB free, at least %d are wanted", r.Free>>20, r.Total>>20, r.Least>>20)
		if r.Free < 2*r.Least || r.Free < r.Total/20 {
			checks = append(checks, examine.Bad(examine.Warn, "disk of "+r.Path, "make room: below what is wanted nothing runs", "%s", found))
		} else {
			checks = append(checks, examine.Well("disk of "+r.Path, "%s", found))
		}
	}
	return checks
}

// examineLinks looks at the node's streams to the services.
func (a *Agent) examineLinks() examine.Check {
	var down []string
	for _, l := range a.Status().GetLinks() {
		if !l.GetConnected() {
			down = append(down, strings.TrimSuffix(l.GetName()+": "+l.GetError(), ": "))
		}
	}
	if len(down) > 0 {
		return examine.Bad(examine.Warn, "streams", "look whether the service that each goes to answers from that machine", "%s", strings.Join(down, "; "))
	}
	return examine.Well("streams", "link, desired, orders and sense are open")
}

// examineSpools looks at what waits to be sent.
func (a *Agent) examineSpools() examine.Check {
	const many = 1000 // groups of a minute without svc-promise on a large node
	waiting, dropped := a.waiting()
	found := fmt.Sprintf("%d reports, bangs and groups wait to be sent, %d were dropped", waiting, dropped)
	switch {
	case dropped > 0:
		return examine.Bad(examine.Warn, "spools", "a service was away for longer than they hold: what was dropped is gone, what came later is not", "%s", found)
	case waiting > many:
		return examine.Bad(examine.Warn, "spools", "look whether svc-master and svc-promise answer", "%s", found)
	}
	return examine.Well("spools", "%s", found)
}

// examineLimits looks whether the limits of processes are held, which takes cgroups.
func examineLimits(processes []*nodev1.Process) examine.Check {
	var not []string
	for _, p := range processes {
		if p.GetProblem() != "" {
			not = append(not, p.GetPartition()+"/"+p.GetName()+": "+p.GetProblem())
		}
	}
	if len(not) > 0 {
		return examine.Bad(examine.Warn, "cgroups", "permit cgroups to the supervisor (docs/supervisor.md), or take the limits away", "limits of %d processes are not held, the first is %s", len(not), not[0])
	}
	return examine.Well("cgroups", "every limit of a process that is set is held")
}
