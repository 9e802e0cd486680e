package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// HostRequest is a shared instance that wants a host.
type HostRequest struct {
	SharedID, RequesterID, Account string
	// Release as it may be shown: without what is secret in its URL.
	Release, Type string
	// Computer that was asked for; empty = any.
	Computer string
	Sla      Sla
	// Bytes of its title and parameters.
	Bytes int
}

// HostView is an instance that may host.
type HostView struct {
	ID, Title, Account string
	State              State
	// Computer that it is on, without its partitions, which nobody wants.
	Computer ComputerView
	// Hosts is how many shared instances it has, Bytes what they take; Full says that its tree hosts as many as there may be.
	Hosts, Bytes int
	Full         bool
}

// HostKey is what hosts of a shared instance have in common with it.
type HostKey struct{ Account, Release, Type string }

// HostKeys are those of the instances that hold a partition, each once.
func (t *Tree) HostKeys() []HostKey {
	var all []HostKey
	known := map[HostKey]bool{}
	for _, m := range t.view().order {
		if key, can := t.HostKey(m.instance); can && !known[key] {
			known[key] = true
			all = append(all, key)
		}
	}
	return all
}

// HostKey is that of an instance; false = it cannot host.
func (t *Tree) HostKey(i *Instance) (HostKey, bool) {
	return HostKey{t.Account, i.Release, i.Type}, t.Partitions[i.ID] != nil && i.State != Destroyed
}

// Shares tells whether the tree has shared instances, or hosts some.
func (t *Tree) Shares() bool {
	if len(t.Hosted) > 0 {
		return true
	}
	for _, i := range t.Instances {
		if i.Shared {
			return true
		}
	}
	return false
}

// Hosts lists the instances of a key that hold a partition, by number. Of their computers only the names are known.
func (t *Tree) Hosts(key HostKey) []HostView {
	var all []HostView
	for _, m := range t.view().order {
		i := m.instance
		if of, can := t.HostKey(i); can && of == key {
			all = append(all, HostView{
				ID: i.ID, Title: i.Title, Account: t.Account, State: i.State, Computer: ComputerView{Name: m.partition.Computer}, Full: len(t.Hosted) >= MaxInstances,
			})
		}
	}
	if len(all) == 0 {
		return nil
	}
	at := make(map[string]*HostView, len(all))
	for n := range all {
		at[all[n].ID] = &all[n]
	}
	for _, h := range t.Hosted {
		if view := at[h.HostID]; view != nil {
			view.Hosts, view.Bytes = view.Hosts+1, view.Bytes+h.bytes()
		}
	}
	return all
}

// HostWanted is what a shared instance without a host wants; false = it has one, or wants none.
func (t *Tree) HostWanted(id string) (HostRequest, bool) {
	i := t.Instances[id]
	if i == nil || !i.Shared || !t.Waits(i) {
		return HostRequest{}, false
	}
	return HostRequest{
		SharedID: i.ID, RequesterID: i.RequesterID, Account: t.Account, Release: i.Release, Type: i.Type, Computer: i.Computer, Sla: i.Sla,
		Bytes: len(i.Title) + len(i.Type) + size(i.Parameters),
	}, true
}

// Key is what its hosts have in common with it; the release of the request is whole then.
func (r *HostRequest) Key() HostKey { return HostKey{r.Account, r.Release, r.Type} }

// ChooseHost chooses a host (docs/shared.md): started before stopped, then the one with the fewest shared instances, then by id. With none the reason is exact.
func ChooseHost(r HostRequest, hosts []HostView) (chosen *HostView, reason string) {
	var obstacles []string
	named := false
	for at := range hosts {
		h := &hosts[at]
		if h.Account != r.Account || r.Sla.Host != "" && h.ID != r.Sla.Host {
			continue
		}
		named = true
		if why := h.obstacle(&r); why != "" {
			obstacles = append(obstacles, why)
		} else if chosen == nil || h.before(chosen) {
			chosen = h
		}
	}
	switch {
	case chosen != nil:
		return chosen, ""
	case !named && r.Sla.Host != "":
		return nil, fmt.Sprintf("%s is no instance of software release %s, type %s, with a partition", r.Sla.Host, r.Release, r.Type)
	case !named:
		return nil, fmt.Sprintf("no instance of software release %s, type %s, has a partition and could host it", r.Release, r.Type)
	}
	slices.Sort(obstacles)
	if more := len(obstacles) - maxFullTold; more > 0 {
		obstacles = append(obstacles[:maxFullTold], fmt.Sprintf("and so on for %d more hosts", more))
	}
	return nil, strings.Join(obstacles, ", ")
}

func (h *HostView) before(o *HostView) bool {
	return cmp.Or(cmp.Compare(h.State, o.State), cmp.Compare(h.Hosts, o.Hosts), strings.Compare(h.ID, o.ID)) < 0
}

// obstacle is why an instance cannot host what is requested, in words; empty = it can.
func (h *HostView) obstacle(r *HostRequest) string {
	name := fmt.Sprintf("%q (%s)", h.Title, h.ID)
	switch {
	case h.ID == r.RequesterID:
		return name + " requests it itself"
	case h.Hosts >= MaxHosted || h.Full:
		return fmt.Sprintf("%s has %d shared instances, the most there may be", name, h.Hosts)
	case h.Bytes+r.Bytes > MaxHostedBytes:
		return fmt.Sprintf("%s would have %d bytes of parameters of shared instances, more than %d", name, h.Bytes+r.Bytes, MaxHostedBytes)
	case r.Computer != "" && h.Computer.Name != r.Computer:
		return name + " is on " + h.Computer.Name
	}
	if why := h.Computer.unfit(&r.Sla); why != "" {
		return name + ": " + why
	}
	return ""
}

// Seen is what one side shows of a shared instance: what was wanted last, and the newest word of its host.
type Seen struct{ Wanted, Stamp Generation }

// SeenShared is what the tree wants of hosts.
func (t *Tree) SeenShared() map[Hosting]Seen {
	all := map[Hosting]Seen{}
	for id, i := range t.Instances {
		h := Hosting{SharedID: id, HostID: i.Host}
		if _, wants := t.Wants(h); wants && i.Host != "" {
			all[h] = Seen{Wanted: i.Generation, Stamp: i.Word.Stamp}
		}
	}
	return all
}

// SeenHosted is what hosts of the tree have.
func (t *Tree) SeenHosted() map[Hosting]Seen {
	all := map[Hosting]Seen{}
	for id, h := range t.Hosted {
		all[Hosting{SharedID: id, HostID: h.HostID}] = Seen{Wanted: h.Generation, Stamp: t.hostAnswer(h, false).Word.Stamp}
	}
	return all
}
