package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Policy is a NetworkPolicy, as far as it is enforced: who may call, by labels and ports. Of egress, named ports, ranges and blocks of addresses tilt/k8s has none.
type Policy struct {
	Metadata Metadata
	Spec     Spec
}

// Metadata is what an object is called.
type Metadata struct {
	Name, Namespace string
	Labels          map[string]string
}

// Spec says which pods are closed, and who may call them all the same.
type Spec struct {
	PodSelector Selector  `json:"podSelector"`
	PolicyTypes []string  `json:"policyTypes"`
	Ingress     []Ingress `json:"ingress"`
}

// Ingress opens ports, or all if there are none, to peers, or to everybody if there are none.
type Ingress struct {
	Ports []Port `json:"ports"`
	From  []Peer `json:"from"`
}

// Port is one.
type Port struct {
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`
}

// Peer are pods of the policy's namespace, or of those that are selected.
type Peer struct {
	PodSelector       *Selector `json:"podSelector"`
	NamespaceSelector *Selector `json:"namespaceSelector"`
}

// Selector selects by labels; an empty one selects all.
type Selector struct {
	MatchLabels      map[string]string `json:"matchLabels"`
	MatchExpressions []Requirement     `json:"matchExpressions"`
}

// Requirement is one of a Selector.
type Requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
}

// UnmarshalJSON refuses what a Spec has no field for.
func (p *Policy) UnmarshalJSON(content []byte) error {
	var raw struct {
		Metadata Metadata
		Spec     json.RawMessage
	}
	if err := json.Unmarshal(content, &raw); err != nil {
		return err
	}
	*p = Policy{Metadata: raw.Metadata}
	strict := json.NewDecoder(bytes.NewReader(raw.Spec))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&p.Spec); err != nil {
		return fmt.Errorf("cannot enforce NetworkPolicy/%s: %w", p.Metadata.Name, err)
	}
	if !slices.Equal(p.Spec.PolicyTypes, []string{"Ingress"}) {
		return fmt.Errorf("cannot enforce NetworkPolicy/%s: its types are %q, and Ingress alone is known", p.Metadata.Name, p.Spec.PolicyTypes)
	}
	return nil
}

// selects says whether a selector is for what has these labels.
func (s Selector) selects(labels map[string]string) bool {
	for key, value := range s.MatchLabels {
		if got, has := labels[key]; !has || got != value {
			return false
		}
	}
	return !slices.ContainsFunc(s.MatchExpressions, func(r Requirement) bool { return !r.holds(labels) })
}

func (r Requirement) holds(labels map[string]string) bool {
	value, has := labels[r.Key]
	switch r.Operator {
	case "In":
		return has && slices.Contains(r.Values, value)
	case "NotIn":
		return !has || !slices.Contains(r.Values, value)
	case "Exists":
		return has
	default: // DoesNotExist; the API server takes no other
		return !has
	}
}
