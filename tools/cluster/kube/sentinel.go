package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// sentinelDefaults is what the chart says to Sentinels when its values do not.
func sentinelDefaults() map[string]string {
	return map[string]string{"down-after-milliseconds": "10000", "failover-timeout": "180000", "parallel-syncs": "5"}
}

// Sentinels are the objects in the place of the chart redis-ha: Redis and Sentinel on three machines, as tilt/k8s/ha/redis-values.yaml wants them.
func Sentinels(root string) ([]manifest.Object, error) {
	objects, err := manifest.Build(root, "tools/cluster/kube/redis-ha")
	if err != nil {
		return nil, err
	}
	var values struct {
		Redis, Sentinel struct{ Config map[string]string }
	}
	content, err := os.ReadFile(filepath.Join(root, "tilt/k8s/ha/redis-values.yaml"))
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(content, &values); err != nil {
		return nil, fmt.Errorf("cannot read the values of the chart: %w", err)
	}
	script, err := os.ReadFile(filepath.Join(root, "tools/cluster/kube/redis-ha/init.sh"))
	if err != nil {
		return nil, err
	}
	sentinel := sentinelDefaults()
	maps.Copy(sentinel, values.Sentinel.Config)
	o := manifest.Object{APIVersion: "v1", Kind: "ConfigMap", Name: "redis-redis-ha-configmap", Namespace: "vow"}
	o.YAML, err = json.Marshal(map[string]any{ // which is YAML too
		"apiVersion": o.APIVersion, "kind": o.Kind, "metadata": map[string]any{"name": o.Name, "namespace": o.Namespace},
		"data": map[string]string{"init.sh": string(script), "redis.conf": directives("", values.Redis.Config), "sentinel.conf": directives("sentinel ", sentinel, "vow ")},
	})
	return append(objects, o), err
}

// directives are lines of a configuration: what comes before each key, and before each value.
func directives(before string, config map[string]string, of ...string) string {
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&lines, "%s%s %s%s\n", before, key, strings.Join(of, ""), config[key])
	}
	return lines.String()
}
