package model

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/vow-os/vow/svc-master/fleet"
)

// sharedTitle is the title of the shared instance that the root of a tree requests.
const sharedTitle = "shared"

// unite brings the two sides of a shared instance together soon, as svc-master's placement does after each commit that changed one; a crash forgets it.
func (m *master) unite(h fleet.Hosting) {
	m.w.soon(m.host, m.w.between(0, 100*time.Millisecond), func() { m.bringTogether(h) })
}

func (m *master) bringTogether(h fleet.Hosting) {
	site, front := fleet.TreeID(h.SharedID), fleet.TreeID(h.HostID)
	wanted, wants := m.tree(site).Wants(h)
	if !wants {
		if m.w.cfg.sabotage != deafHost {
			_, _ = m.step(front, fleet.Unhost{SharedID: h.SharedID, HostID: h.HostID}, "")
		}
		return
	}
	said, err := answer[fleet.HostAnswer](m.step(front, wanted, ""))
	switch {
	case !m.up || m.w.boundary(m.host):
	case fleet.KindOf(err) != 0:
		_, _ = m.step(site, fleet.HostLost{SharedID: h.SharedID, HostID: h.HostID, Reason: err.Error()}, "")
	default:
		_, _ = m.step(site, fleet.HostSaid{SharedID: h.SharedID, HostID: h.HostID, Word: said.Word, Connection: said.Connection, Delay: said.Delay}, "")
	}
}

// chooseHost chooses a host among the instances of all trees; nil = there is none.
func (m *master) chooseHost(wanted fleet.HostRequest) (*fleet.HostView, string) {
	var hosts []fleet.HostView
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		hosts = append(hosts, m.tree(id).Hosts(wanted.Key())...)
	}
	return fleet.ChooseHost(wanted, hosts)
}

func (m *master) placeShared(t *fleet.Tree, wanted fleet.HostRequest) {
	host, reason := m.chooseHost(wanted)
	if host == nil {
		_, _ = m.step(t.ID, fleet.Unallocated{InstanceID: wanted.SharedID, Reason: reason}, "")
		return
	}
	if _, err := m.step(t.ID, fleet.TakeHost{SharedID: wanted.SharedID, HostID: host.ID}, ""); err != nil || !m.up || m.w.boundary(m.host) {
		return
	}
	m.w.summary.Hosted++
	m.bringTogether(fleet.Hosting{SharedID: wanted.SharedID, HostID: host.ID})
}

// keepShared is the sweep over shared instances, with reconcile: hosts that turned with time, and what the two sides do not agree about.
func (m *master) keepShared() {
	wanted, hosted := map[fleet.Hosting]fleet.Seen{}, map[fleet.Hosting]fleet.Seen{}
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		if _, _ = m.step(id, fleet.Judge{}, ""); !m.up {
			return
		}
		maps.Copy(wanted, m.tree(id).SeenShared())
		maps.Copy(hosted, m.tree(id).SeenHosted())
	}
	all := maps.Clone(wanted)
	maps.Copy(all, hosted)
	for _, h := range slices.SortedFunc(maps.Keys(all), func(a, b fleet.Hosting) int {
		return slices.Compare([]string{a.SharedID, a.HostID}, []string{b.SharedID, b.HostID})
	}) {
		if wanted[h] != hosted[h] {
			m.unite(h)
		}
	}
}

// hostedOf is what a run of an instance is told to serve: the version of each shared instance, by id.
func hostedOf(t *fleet.Tree, id string) map[string]int {
	all := map[string]int{}
	for _, h := range t.HostedBy(id) {
		all[h.SharedID] = number(h.Parameters["version"])
	}
	return all
}

// requestShared requests the shared instance of the tree, if there is one. Its profile does not wait for it: two that wait for each other would wait for ever.
func (r *run) requestShared(then func(changed bool)) {
	w, n, c := r.node.w, r.node, r.want.Content.(content)
	if !r.tenant.plan.shares {
		then(false)
		return
	}
	e := fleet.Request{
		RequestID: r.handle.RunID + "/" + sharedTitle, RequesterID: c.instance, Title: sharedTitle, Release: "release", Shared: true,
		Parameters: map[string]string{"version": strconv.Itoa(c.version)},
	}
	patiently(w, n.host, w.master.host, 5*time.Second, func() (fleet.RequestAnswer, error) { return w.master.request(c.tree, e) }, func(a fleet.RequestAnswer, err error, answered bool) {
		if !answered || err != nil {
			r.fail("not_available", "cannot request "+e.Title)
			return
		}
		then(a.Changed)
	})
}

// publishShared publishes for each shared instance which version of it is served. One that was destroyed meanwhile is no error.
func (r *run) publishShared(ids []string, then func()) {
	w, n := r.node.w, r.node
	if len(ids) == 0 {
		then()
		return
	}
	e := fleet.Publish{AllocationID: r.handle.AllocationID, Token: r.token, SharedID: ids[0], Parameters: map[string]string{"served": strconv.Itoa(r.tenant.hosted[ids[0]])}}
	patiently(w, n.host, w.master.host, 5*time.Second, func() (fleet.PublishAnswer, error) { return w.master.publish(e) }, func(_ fleet.PublishAnswer, err error, answered bool) {
		if !answered || err != nil && fleet.KindOf(err) != fleet.NotFound {
			r.fail("profile", "cannot publish")
			return
		}
		r.publishShared(ids[1:], then)
	})
}

// wrongShared: what a host publishes reaches the requester in the end; a host serves nothing that its requester destroyed, or wants of another one; no two serve one.
func (w *World) wrongShared() string {
	served := map[string]string{}
	for _, n := range w.nodes {
		for _, name := range sortedKeys(n.machine.tenants) {
			at := n.machine.tenants[name]
			for _, id := range sortedKeys(at.hosted) {
				i := w.master.tree(fleet.TreeID(id)).Instances[id]
				switch {
				case i == nil || i.State == fleet.Destroyed:
					return fmt.Sprintf("%s is destroyed, and %s/%s serves it", id, n.name, name)
				case i.Host != at.instance:
					return fmt.Sprintf("%s is hosted by %q, and %s serves it on %s/%s", id, i.Host, at.instance, n.name, name)
				case served[id] != "":
					return fmt.Sprintf("%s is served by %s and by %s/%s", id, served[id], n.name, name)
				}
				served[id] = n.name + "/" + name
			}
		}
	}
	for _, p := range w.plans {
		if !p.root.shares || w.client.gone[p.id] {
			continue
		}
		t := w.master.tree(p.id)
		for _, i := range t.Sorted() {
			version := strconv.Itoa(w.client.version[p.id])
			if wanted, waits := t.HostWanted(i.ID); waits {
				if host, _ := w.master.chooseHost(wanted); host != nil {
					return i.ID + " has no host, and " + host.ID + " could be it: " + i.Unallocated
				}
				continue // all others are gone
			}
			switch {
			case !i.Shared:
			case w.neverWell(i.Host): // it is never called served, and what was published stays
			case i.Word.Unserved != "":
				return i.ID + " is not served: " + i.Word.Unserved
			case i.Parameters["version"] != version || i.Connection["served"] != version:
				return fmt.Sprintf("%s is requested in version %s, and its requester was told of version %q, want %s", i.ID, i.Parameters["version"], i.Connection["served"], version)
			case served[i.ID] == "":
				return i.ID + " is served nowhere"
			}
		}
	}
	return ""
}

// neverWell tells whether a host is of a tree with a promise that can never pass.
func (w *World) neverWell(host string) bool { return neverTree(fleet.TreeID(host)) }
