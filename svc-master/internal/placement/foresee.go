package placement

import (
	"context"
	"strconv"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
)

// Foreseen is where an instance would be put.
type Foreseen struct {
	fleet.Chosen
	// Reason why it fits nowhere, or what its run would wait for.
	Reason string
	// Elsewhere is why it would not be put on each other computer.
	Elsewhere []fleet.Elsewhere
}

// Foresee tells where an instance of a tree, or of a copy of one, would be put now: a shared one where its host is. It reads only.
func (p *Placer) Foresee(ctx context.Context, t *fleet.Tree, i *fleet.Instance) (Foreseen, error) {
	if wanted, shared := t.HostWanted(i.ID); shared {
		host, reason, err := p.chooseHost(ctx, wanted, &round{})
		if err != nil || host == nil {
			return Foreseen{Reason: reason}, err
		}
		return Foreseen{Chosen: fleet.Chosen{Computer: host.Computer.Name}, Reason: "it would be hosted by " + strconv.Quote(host.Title) + " (" + host.ID + ")"}, nil
	}
	computers, err := p.candidates(ctx, "", &round{})
	if err != nil {
		return Foreseen{}, err
	}
	wanted := wantedOf(i)
	at, partition, reason := choose(i.ID, wanted, computers)
	out := Foreseen{Reason: reason}
	views := make([]fleet.ComputerView, 0, len(computers))
	for _, c := range computers {
		views = append(views, viewOf(c, wanted.Release))
	}
	if at != nil {
		out.Chosen = fleet.Chosen{Computer: at.Name, Partition: partition}
		if at.Software[wanted.Release].GetReported() != masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE {
			out.Reason = "its run would wait until the software release is available there"
		}
	}
	wanted.Release = telemetry.Redacted(wanted.Release)
	out.Elsewhere = fleet.WhyNot(wanted, views, out.Computer)
	return out, nil
}
