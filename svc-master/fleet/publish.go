package fleet

import (
	"fmt"
	"maps"
	"time"
)

// Publish sets the connection parameters of an instance (SetConnectionParameters).
type Publish struct {
	AllocationID string
	// Token of the run in progress.
	Token uint64
	// SharedID is the shared instance that they are for, which this one hosts; empty = they are its own.
	SharedID string
	// Parameters are all of them; what is not named is removed.
	Parameters map[string]string
	Trace      Trace
}

// PublishAnswer tells what came of it.
type PublishAnswer struct {
	// Changed is true when they differ from what was stored.
	Changed bool
	// Delay is how long the requester's run waits: a publish loop.
	Delay time.Duration
}

// Publishing watches one instance for a publish loop (docs/rules.md): runs in a row that publish different values.
type Publishing struct {
	// Times of the newest publishing runs in a row within 10 min, oldest first: at most LoopFrom.
	Times []time.Time
	// Loop counts the publishing runs in a row from the third on; 0 = no loop.
	Loop uint32
	// Delay that the newest one made its requester wait.
	Delay time.Duration
}

// looping tells whether the instance is in a publish loop: 10 minutes after its delayed wake-up without publishing again end it.
func (p *Publishing) looping(now time.Time) bool {
	return p.Loop > 0 && now.Sub(p.Times[len(p.Times)-1]) < p.Delay+GoodTime
}

// publish counts a publishing run and returns how long the wake-up waits.
func (p *Publishing) publish(id string, now time.Time) time.Duration {
	if p.looping(now) {
		p.Loop++
	} else {
		p.Loop = 0
	}
	kept := p.Times[:0]
	for _, at := range p.Times {
		if now.Sub(at) < GoodTime {
			kept = append(kept, at)
		}
	}
	p.Times = append(kept, now)
	if p.Loop == 0 && len(p.Times) >= LoopFrom {
		p.Loop = 1
	}
	if len(p.Times) > LoopFrom {
		p.Times = p.Times[len(p.Times)-LoopFrom:]
	}
	p.Delay = 0
	if p.Loop > 0 {
		p.Delay = delayOf(p.Loop, id+"/publish")
	}
	return p.Delay
}

// Publish stores what an instance publishes, and wakes its requester when and only when it differs from before (cause changed); in a publish loop with the
// growing delay. Idempotent by content. Errors: InvalidArgument, FailedPrecondition (the allocation or the token is not current).
func (t *Tree) Publish(e Publish, now time.Time) (PublishAnswer, Effects, error) {
	m := t.view().members[e.AllocationID]
	switch {
	case m == nil:
		return PublishAnswer{}, Effects{}, fail(FailedPrecondition, "cannot publish for %s: it is not a current allocation", e.AllocationID)
	case m.partition.Run == nil || m.partition.Run.Token != e.Token:
		return PublishAnswer{}, Effects{}, fail(FailedPrecondition, "cannot publish for %s: %d is not the token of its run in progress", e.AllocationID, e.Token)
	}
	parameters := withoutEmpty(e.Parameters)
	if size(parameters) > MaxParameters {
		return PublishAnswer{}, Effects{}, invalid("connection_parameters", "cannot publish for %s: connection_parameters have %d bytes, more than %d", e.AllocationID, size(parameters), MaxParameters)
	}
	if e.SharedID != "" {
		return t.publishHosted(&e, m, parameters, now)
	}
	i, p := m.instance, m.partition
	if maps.Equal(i.Connection, parameters) {
		return PublishAnswer{}, Effects{}, nil
	}
	unsettled := t.Unsettled()
	var fx Effects
	answer := PublishAnswer{Changed: true}
	fx.audit(AuditEntry{Kind: AuditPublished, Changes: bounded(changedKeys("connection parameter ", i.Connection, parameters))}, i, p)
	i.Connection = parameters
	fx.Changed.instance(i.ID)
	fx.Changed.partition(i.ID)
	if !p.Run.Published {
		p.Run.Published = true
		answer.Delay = p.Publishing.publish(p.AllocationID, now)
	} else {
		answer.Delay = p.Publishing.Delay
	}
	if requester := t.Instances[i.RequesterID]; requester != nil {
		t.changed(&fx, []*Instance{requester}, false, answer.Delay, e.Trace, now)
	}
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

// loop is what the tree says of a publish loop.
func (p *Publishing) loop(i *Instance) string {
	return fmt.Sprintf("publish loop: %s published different values in %d runs in a row; its requester waits %s", i.Title, p.Loop+LoopFrom-1, p.Delay.Round(time.Millisecond))
}
