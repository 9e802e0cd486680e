package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pod is what the rules need of one.
type Pod struct {
	Metadata Metadata
	Spec     struct {
		NodeName    string
		HostNetwork bool
	}
	Status struct{ Phase, PodIP string }
}

// State is what the API server says, all at once.
type State struct {
	Policies   []Policy
	Pods       []Pod
	Namespaces []Namespace
}

// Namespace has labels that a peer may be selected by.
type Namespace struct{ Metadata Metadata }

// refuse tells a caller at once, and apart from a port that nobody listens on: EHOSTUNREACH.
const refuse = "reject with icmpx admin-prohibited"

// Ruleset is what nft makes of a machine whose pods have addresses of one range: one table, replaced as a whole. What the machine itself sends its pods is not forwarded, and so it passes, as Kubernetes wants.
func Ruleset(s State, node, pods string) string {
	all := slices.Clone(s.Pods)
	all = slices.DeleteFunc(all, func(p Pod) bool {
		return p.Status.PodIP == "" || p.Spec.HostNetwork || p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed"
	})
	slices.SortFunc(all, func(a, b Pod) int { return cmp.Compare(a.Status.PodIP, b.Status.PodIP) })
	s.Pods = all
	var chains, closed strings.Builder
	var known []string
	for _, p := range all {
		if p.Spec.NodeName != node {
			continue
		}
		known = append(known, p.Status.PodIP)
		if rules, isClosed := s.rules(p); isClosed {
			fmt.Fprintf(&chains, "\tchain to_%s {\n\t\tip saddr %s accept\n%s\t\t%s\n\t}\n", p.Status.PodIP, p.Status.PodIP, rules, refuse)
			fmt.Fprintf(&closed, "\t\tip daddr %s jump to_%s\n", p.Status.PodIP, p.Status.PodIP)
		}
	}
	unknown := "ip daddr " + pods
	if len(known) > 0 {
		unknown += " ip daddr != { " + strings.Join(known, ", ") + " }"
	}
	return fmt.Sprintf("table inet netpol\ndelete table inet netpol\ntable inet netpol {\n%s\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tct state established,related accept\n%s\t\t%s %s\n\t}\n}\n",
		&chains, &closed, unknown, refuse)
}

// rules open a pod to those who may call it; a pod that no policy selects is not closed.
func (s State) rules(p Pod) (rules string, closed bool) {
	var open strings.Builder
	for _, policy := range s.Policies {
		if policy.Metadata.Namespace != p.Metadata.Namespace || !policy.Spec.PodSelector.selects(p.Metadata.Labels) {
			continue
		}
		closed = true
		for _, in := range policy.Spec.Ingress {
			from := ""
			if len(in.From) > 0 {
				addresses := s.peers(policy.Metadata.Namespace, in.From)
				if len(addresses) == 0 {
					continue
				}
				from = "ip saddr { " + strings.Join(addresses, ", ") + " } "
			}
			if len(in.Ports) == 0 {
				fmt.Fprintf(&open, "\t\t%saccept # %s\n", from, policy.Metadata.Name)
			}
			for _, port := range in.Ports {
				to := "meta l4proto " + strings.ToLower(port.Protocol)
				if port.Port != 0 {
					to = fmt.Sprintf("%s dport %d", strings.ToLower(port.Protocol), port.Port)
				}
				fmt.Fprintf(&open, "\t\t%s%s accept # %s\n", from, to, policy.Metadata.Name)
			}
		}
	}
	return open.String(), closed
}

// peers are the addresses of the pods that any of them selects.
func (s State) peers(namespace string, from []Peer) (addresses []string) {
	labels := map[string]map[string]string{}
	for _, n := range s.Namespaces {
		labels[n.Metadata.Name] = n.Metadata.Labels
	}
	for _, p := range s.Pods {
		if slices.ContainsFunc(from, func(peer Peer) bool {
			there := p.Metadata.Namespace == namespace
			if peer.NamespaceSelector != nil {
				there = peer.NamespaceSelector.selects(labels[p.Metadata.Namespace])
			}
			return there && (peer.PodSelector == nil || peer.PodSelector.selects(p.Metadata.Labels))
		}) {
			addresses = append(addresses, p.Status.PodIP)
		}
	}
	return addresses
}
