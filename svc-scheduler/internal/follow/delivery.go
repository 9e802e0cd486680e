package follow

import (
	"context"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// delivery collects the events of a batch, in order, by computer: an owner gets all of them at once, so that it decides and saves once.
// A reading of the tree that comes before a bang must not make a run of its own, without the bang's fan out.
type delivery struct {
	owners *owner.Owners
	events map[string][]agenda.Event
	order  []string
}

// add adds an event for a computer, unless nobody here owns it.
func (d *delivery) add(computer string, e agenda.Event) {
	if !d.owners.Has(computer) {
		return
	}
	if _, some := d.events[computer]; !some {
		d.order = append(d.order, computer)
	}
	d.events[computer] = append(d.events[computer], e)
}

// Pacing of the feed.
const (
	// crowd is how many computers make a delivery a fan-out that is waited for: one pipeline of saves takes fewer.
	crowd = 64
	// handoverWait bounds the wait: an agenda that cannot be saved keeps nobody else's bang from being read for longer.
	handoverWait = 50 * time.Millisecond
	// holdEach is what handing over takes for each computer of a crowd, on two processors that do nothing else (docs/scale.md).
	holdEach = 100 * time.Microsecond
)

// hold is how long the nodes of a fan-out wait before they begin: until all of a crowd have their orders. A run costs svc-master several times what an order
// costs here, so that the runs of the first would make the last wait for several times as long (docs/decisions/0054).
func hold(computers int) time.Duration {
	if computers < crowd {
		return 0
	}
	return time.Duration(computers) * holdEach
}

// send delivers. After a fan-out to a crowd it waits until the orders are handed over: what the first nodes begin and report meanwhile comes in the next
// batch, and is decided and saved together, instead of competing with the orders of the last nodes.
func (d *delivery) send(ctx context.Context) error {
	if len(d.order) < crowd {
		for _, computer := range d.order {
			d.owners.Deliver(computer, d.events[computer]...)
		}
		return nil
	}
	handover := owner.NewHandover(len(d.order))
	for _, computer := range d.order {
		d.owners.Hand(computer, handover, d.events[computer]...)
	}
	timer := time.NewTimer(handoverWait)
	defer timer.Stop()
	select {
	case <-handover.Done():
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
