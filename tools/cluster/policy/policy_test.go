package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// TestEveryPolicyOfOursIsEnforced: what tilt/k8s comes to say of the network and this package does not know is seen before a cluster is made.
func TestEveryPolicyOfOursIsEnforced(t *testing.T) {
	for _, overlay := range []string{"dev", "ha"} {
		objects, err := manifest.Build("../../..", "tilt/k8s/"+overlay)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, o := range objects {
			if o.Kind != "NetworkPolicy" {
				continue
			}
			content, err := json.Marshal(o.Content)
			if err != nil {
				t.Fatal(err)
			}
			var p Policy
			if err := json.Unmarshal(content, &p); err != nil {
				t.Errorf("%s: %v", overlay, err)
			}
			found++
		}
		if found < 5 {
			t.Errorf("%s has %d policies", overlay, found)
		}
	}
}

func TestAPolicyThatIsNotKnownIsRefused(t *testing.T) {
	for _, spec := range []string{
		`{"podSelector":{},"policyTypes":["Egress"]}`, `{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]}`,
		`{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":1,"endPort":9}]}]}`, `{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":"rpc"}]}]}`,
	} {
		if err := json.Unmarshal([]byte(`{"metadata":{"name":"x"},"spec":`+spec+`}`), &Policy{}); err == nil || !strings.Contains(err.Error(), "cannot enforce NetworkPolicy/x") {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// state is two pods of one's own, a third elsewhere, one on another machine and one that has ended.
const state = `{
	"namespaces": [{"metadata": {"name": "vow", "labels": {"kind": "ours"}}}, {"metadata": {"name": "others"}}],
	"pods": [
		{"metadata": {"name": "server", "namespace": "vow", "labels": {"app": "server"}}, "spec": {"nodeName": "one"}, "status": {"podIP": "10.0.0.2"}},
		{"metadata": {"name": "client", "namespace": "vow", "labels": {"app": "client"}}, "spec": {"nodeName": "two"}, "status": {"podIP": "10.0.1.2"}},
		{"metadata": {"name": "ended", "namespace": "vow", "labels": {"app": "client"}}, "spec": {"nodeName": "one"}, "status": {"phase": "Succeeded", "podIP": "10.0.0.3"}},
		{"metadata": {"name": "stranger", "namespace": "others", "labels": {"app": "client"}}, "spec": {"nodeName": "one"}, "status": {"podIP": "10.0.0.4"}}
	],
	"policies": [POLICIES]
}`

func rulesOf(t *testing.T, policies string) string {
	t.Helper()
	var s State
	if err := json.Unmarshal([]byte(strings.Replace(state, "POLICIES", policies, 1)), &s); err != nil {
		t.Fatal(err)
	}
	return Ruleset(s, "one", "10.0.0.0/24")
}

func TestAPodIsOpenUntilAPolicySelectsIt(t *testing.T) {
	if rules := rulesOf(t, ""); strings.Contains(rules, "jump") || !strings.Contains(rules, "ip daddr 10.0.0.0/24 ip daddr != { 10.0.0.2, 10.0.0.4 } "+refuse) {
		t.Error(rules)
	}
	rules := rulesOf(t, `{"metadata": {"name": "nobody", "namespace": "vow"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}`)
	if !strings.Contains(rules, "chain to_10.0.0.2 {\n\t\tip saddr 10.0.0.2 accept\n\t\t"+refuse) || strings.Count(rules, "jump") != 1 {
		t.Error("the server alone of this machine is closed, but for itself:", rules)
	}
}

func TestPoliciesOpenPortsToPeers(t *testing.T) {
	for from, want := range map[string]string{
		`[{"podSelector": {"matchLabels": {"app": "client"}}}]`:                                                                      "ip saddr { 10.0.1.2 } tcp dport 7 accept",
		`[{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["client"]}]}, "namespaceSelector": {}}]`: "ip saddr { 10.0.0.4, 10.0.1.2 } tcp dport 7 accept",
		`[{"namespaceSelector": {"matchLabels": {"kind": "ours"}}}]`:                                                                 "ip saddr { 10.0.0.2, 10.0.1.2 } tcp dport 7 accept",
		`[{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["client"]}]}}]`:                       "ip saddr { 10.0.0.2 } tcp dport 7 accept",
		`[]`: "\t\ttcp dport 7 accept",
		`[{"podSelector": {"matchExpressions": [{"key": "other", "operator": "Exists"}]}}]`: "chain to_10.0.0.2 {\n\t\tip saddr 10.0.0.2 accept\n\t\t" + refuse,
	} {
		rules := rulesOf(t, `{"metadata": {"name": "p", "namespace": "vow"}, "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"],
			"ingress": [{"ports": [{"protocol": "TCP", "port": 7}], "from": `+from+`}]}}`)
		if !strings.Contains(rules, want) {
			t.Errorf("from %s: want %q in %s", from, want, rules)
		}
	}
}
