package follow

import (
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

func (d *delivery) send() {
	for _, computer := range d.order {
		d.owners.Deliver(computer, d.events[computer]...)
	}
}
