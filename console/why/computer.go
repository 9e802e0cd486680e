package why

import (
	"fmt"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/telemetry"
)

// kept is what a node's absence does not end.
const kept = "its services and promises are kept as long as the machine lives"

// ofComputer is the story of a computer: whether it is heard of, and what on it is not well.
func ofComputer(f Facts, now time.Time) Story {
	c := f.Computer
	s := Story{Thing: "computer " + c.GetName(), Unknown: f.Silent, Look: []string{"vow computer " + c.GetName()}}
	s.colour(c.GetColour())
	for _, p := range c.GetPartitions() {
		if p.GetColour().GetColour() != typev1.Colour_COLOUR_RED {
			continue
		}
		s.Members = append(s.Members, Member{Title: p.GetInstanceTitle(), Place: c.GetName() + "/" + p.GetName(), Cause: firstLine(p.GetColour().GetReason())})
	}
	for _, r := range f.Software[c.GetName()] {
		if r.GetReported() == masterv1.SoftwareState_SOFTWARE_STATE_ERROR {
			s.Conditions = append(s.Conditions, fmt.Sprintf("software release %s does not install: %s", telemetry.Redacted(r.GetSoftwareRelease()), lastLine(r.GetError())))
		}
	}
	if disk := f.Node.GetDisk(); disk != "" {
		s.Conditions = append(s.Conditions, "bad disk: "+firstLine(disk))
	}
	if k := c.GetClosure(); k != nil {
		s.Conditions = append(s.Conditions, closed(k, now))
	}
	contact := "never"
	if c.GetLastContact() != nil {
		contact = ago(c.GetLastContact().AsTime(), now)
	}
	switch {
	case c.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN && f.NodeSilent:
		// Its colour waits for 5 min, whoever asks need not.
		s.Cause = "its node does not answer over its link to svc-master, and was heard of last " + contact + ": svc-node, the machine or its network is down, or just comes back; " + kept
	case c.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN && len(s.Members) == 0 && len(s.Conditions) == 0:
		s.Cause = "it was heard of " + contact + ", and nothing on it is red"
	case c.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN && len(s.Members) == 0:
		s.Cause = s.Conditions[0]
	case c.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN:
		s.Cause = fmt.Sprintf("it was heard of %s; red on it: %s", contact, s.Members[0].Title)
		if n := len(s.Members); n > 1 {
			s.Cause += fmt.Sprintf(" and %d more", n-1)
		}
		s.Look = append(s.Look, "vow why "+s.Members[0].Place)
	case c.GetLastContact() == nil:
		s.Cause = "its node was never heard of: is svc-node started there, and does it reach svc-master?"
	default:
		s.Cause = "its node was heard of last " + contact + ": the machine, its network or svc-node is down; " + kept
	}
	return s
}

// closed says why nothing is allocated on a computer.
func closed(k *masterv1.Closure, now time.Time) string {
	text := "nothing is allocated on it: " + human.Word(k.GetKind(), "CLOSURE_KIND_")
	if k.GetBy() != "" {
		text += " by " + k.GetBy()
	}
	text += " " + ago(k.GetSince().AsTime(), now)
	if k.GetReason() != "" {
		text += ": " + k.GetReason()
	}
	return text
}
