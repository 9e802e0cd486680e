package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vow-os/vow/tools/cluster/image"
)

const root = "../../.."

// workloads are the objects of an overlay that make pods.
func workloads(t *testing.T, folder string) (all []Object, pods []Object) {
	t.Helper()
	all, err := Build(root, folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if o.Kind == "Deployment" || o.Kind == "StatefulSet" {
			pods = append(pods, o)
		}
	}
	return all, pods
}

func TestEveryPodIsRestrictedAndHasProbesAndRequests(t *testing.T) {
	for _, overlay := range []string{"tilt/k8s/dev", "tilt/k8s/ha"} {
		_, pods := workloads(t, overlay)
		if len(pods) < 5 {
			t.Fatalf("%s has %d workloads", overlay, len(pods))
		}
		for _, o := range pods {
			at := func(path ...any) any { return o.At(append([]any{"spec", "template", "spec"}, path...)...) }
			for what, ok := range map[string]bool{
				"runs as root":                    at("securityContext", "runAsNonRoot") == true,
				"has no seccomp profile":          at("securityContext", "seccompProfile", "type") == "RuntimeDefault",
				"has a token of the API server":   at("automountServiceAccountToken") == false,
				"may gain privileges":             at("containers", 0, "securityContext", "allowPrivilegeEscalation") == false,
				"writes its root file system":     at("containers", 0, "securityContext", "readOnlyRootFilesystem") == true,
				"keeps capabilities":              fmt.Sprint(at("containers", 0, "securityContext", "capabilities", "drop")) == "[ALL]",
				"has no startup probe":            at("containers", 0, "startupProbe") != nil,
				"has no readiness probe":          at("containers", 0, "readinessProbe") != nil,
				"requests no memory":              at("containers", 0, "resources", "requests", "memory") != nil,
				"has no limit of memory":          at("containers", 0, "resources", "limits", "memory") != nil,
				"has containers that none checks": at("containers", 1) == nil && at("initContainers", 0) == nil,
			} {
				if !ok {
					t.Errorf("%s: %s %s", overlay, o, what)
				}
			}
		}
	}
}

func TestServicesDrainAndAreNotAllDownAtOnce(t *testing.T) {
	all, pods := workloads(t, "tilt/k8s/ha")
	for _, service := range []string{"svc-master", "svc-scheduler", "svc-promise"} {
		i := slices.IndexFunc(pods, func(o Object) bool { return o.Name == service })
		spec := func(path ...any) any { return pods[i].At(append([]any{"spec"}, path...)...) }
		if n, _ := spec("replicas").(int); n < 3 {
			t.Errorf("%s has %d replicas", service, n)
		}
		// kit/app gives a stop 20 s, after the pause in which its endpoint goes.
		if grace, _ := spec("template", "spec", "terminationGracePeriodSeconds").(int); grace < 25 {
			t.Errorf("%s is killed after %d s", service, grace)
		}
		if spec("template", "spec", "containers", 0, "lifecycle", "preStop", "sleep") == nil {
			t.Errorf("%s is sent calls after it stopped to listen", service)
		}
		if spec("template", "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution", 0) == nil {
			t.Errorf("two of %s may be on one machine", service)
		}
		for _, kind := range []string{"PodDisruptionBudget", "NetworkPolicy", "ServiceAccount", "Service"} {
			if !slices.ContainsFunc(all, func(o Object) bool { return o.Kind == kind && o.Name == service }) {
				t.Errorf("%s has no %s", service, kind)
			}
		}
	}
}

func TestNoSecretIsInWhatProductionUses(t *testing.T) {
	all, _ := workloads(t, "tilt/k8s/ha")
	for _, o := range all {
		if o.Kind == "Secret" {
			t.Errorf("%s is in tilt/k8s/ha", o)
		}
	}
}

func TestOurImagesAreThoseThatAreBuilt(t *testing.T) {
	_, pods := workloads(t, "tilt/k8s/dev")
	var used, built []string
	for _, o := range pods {
		if name, ours := strings.CutPrefix(o.At("spec", "template", "spec", "containers", 0, "image").(string), "vow/"); ours {
			used = append(used, name)
		}
	}
	for _, s := range image.Specs() {
		built = append(built, s.Name)
	}
	slices.Sort(used)
	slices.Sort(built)
	if !slices.Equal(used, built) {
		t.Errorf("pods use %v, built are %v", used, built)
	}
}

// TestImagesOfOthersHaveAWholeVersion: a pod that starts again runs what it ran before.
func TestImagesOfOthersHaveAWholeVersion(t *testing.T) {
	_, pods := workloads(t, "tilt/k8s/dev")
	whole := regexp.MustCompile(`^docker\.io/[^:@]+:v?\d+\.\d+\.\d+(-alpine)?$`)
	for _, o := range pods {
		used := o.At("spec", "template", "spec", "containers", 0, "image").(string)
		if !strings.HasPrefix(used, "vow/") && !whole.MatchString(used) {
			t.Errorf("%s runs %s: want a version of three numbers", o.Name, used)
		}
	}
}

// TestEveryConfiguredFlagExists: flags of manifests and scripts are declared by the program's configuration.
func TestEveryConfiguredFlagExists(t *testing.T) {
	declared := map[string]string{}
	for service, files := range map[string][]string{
		"svc-master":    {"svc-master/app/app.go", "kit/rpc/config.go"},
		"svc-scheduler": {"svc-scheduler/app/app.go", "kit/rpc/config.go"},
		"svc-promise":   {"svc-promise/app/app.go", "kit/rpc/config.go"},
		"console":       {"console/app/app.go", "kit/rpc/config.go"},
		"svc-node":      {"svc-node/app/config.go"},
	} {
		for _, file := range files {
			source, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range regexp.MustCompile("(?m)^\t([A-Z][A-Za-z]*) .*`.*help:").FindAllStringSubmatch(string(source), -1) {
				declared[service] += " --" + kebab(field[1]) + " "
			}
		}
	}
	_, pods := workloads(t, "tilt/k8s/dev")
	for _, o := range pods {
		if declared[o.Name] == "" {
			continue
		}
		args, _ := o.At("spec", "template", "spec", "containers", 0, "args").([]any)
		if i := slices.Index(args, any("--")); i >= 0 { // what comes before is the supervisor's
			args = args[i+2:]
		}
		for _, arg := range args {
			flag, _, _ := strings.Cut(arg.(string), "=")
			if !strings.Contains(declared[o.Name], " "+flag+" ") && flag != "--trace-url" {
				t.Errorf("%s has no %s", o.Name, flag)
			}
		}
	}
}

// kebab is how kong spells the flag of a field.
func kebab(field string) string {
	return strings.ToLower(regexp.MustCompile("([a-z])([A-Z])").ReplaceAllString(field, "$1-$2"))
}

func TestARepositoryIsAReferenceWithoutTagAndDigest(t *testing.T) {
	for reference, want := range map[string]string{
		"vow/svc-master": "vow/svc-master", "docker.io/library/redis:7.4-alpine@sha256:00": "docker.io/library/redis", "registry.example:5000/vow/console": "registry.example:5000/vow/console",
		"registry.example:5000/vow/console:1": "registry.example:5000/vow/console",
	} {
		if got := Repository(reference); got != want {
			t.Errorf("%s is of %s, want %s", reference, got, want)
		}
	}
}
