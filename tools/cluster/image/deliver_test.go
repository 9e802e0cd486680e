package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// deliver runs tilt/scripts/image.sh with programs that only say how they are called and what they read, and returns that.
func deliver(t *testing.T, reference, nodes string, containers string, environment ...string) (calls string, err error) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	program := func(name, body string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// As go run ./cmd/image -archive FILE -ref REF would.
	program("go", `while [ $# -gt 0 ]; do case $1 in -archive) archive=$2 ;; -ref) ref=$2 ;; esac; shift; done; echo "$ref" >"$archive"`)
	program("kubectl", `echo "kubectl $1 $2 $3 $4" >>`+log+"; cat <<'.'\n"+nodes+"\n.")
	program("docker", `case "$1 $2" in "container inspect") case " `+containers+` " in *" $3 "*) exit 0 ;; esac; exit 1 ;; "load --quiet") echo "$DOCKER_HOST docker load $(cat "$4")" ;; "exec --interactive") echo "docker $*: $(cat)" ;; *) echo "docker $*" ;; esac >>`+log)
	program("minikube", `case "$*" in *docker-env*) echo "export DOCKER_HOST=inner" ;; *load*) echo "minikube $1 $2 $3 $4 $(cat "$5")" >>`+log+` ;; esac`)
	for _, name := range []string{"ctr", "k3s"} {
		program(name, `for file; do :; done; echo "$(basename "$0") $* $(cat "$file")" >>`+log)
	}
	program("sudo", `shift; exec "$@"`)
	command := exec.Command("bash", "../../../tilt/scripts/image.sh", "svc-master", "the-context")
	command.Env = append([]string{"PATH=" + dir + ":/usr/bin:/bin", "EXPECTED_REF=" + reference}, environment...)
	said, err := command.CombinedOutput()
	read, _ := os.ReadFile(log)
	return string(read) + string(said), err
}

func TestAnImageIsTakenToEveryNodeByWhatTheNodeIs(t *testing.T) {
	const reference = "vow/svc-master:tilt-build-1"
	for name, c := range map[string]struct {
		reference, nodes, containers string
		environment                  []string
		want                         []string
	}{
		"kind":                        {reference, "kind-control-plane containerd://2.1.1 ", "kind-control-plane", nil, []string{"docker exec --interactive kind-control-plane ctr --namespace k8s.io images import -: " + reference}},
		"k3d, two nodes":              {reference, "k3d-a-server-0 containerd://2.0.5-k3s1 \nk3d-a-agent-0 containerd://2.0.5-k3s1 ", "k3d-a-server-0 k3d-a-agent-0", nil, []string{"exec --interactive k3d-a-server-0 ctr", "exec --interactive k3d-a-agent-0 ctr"}},
		"minikube, docker in docker":  {reference, "minikube docker://28.0.4 minikube", "minikube", nil, []string{"docker exec --interactive minikube docker load --quiet: " + reference}},
		"minikube, environment":       {reference, "minikube docker://28.0.4 minikube", "", []string{"DOCKER_HOST=tilts"}, []string{"tilts docker load " + reference}},
		"minikube, machine, docker":   {reference, "minikube docker://28.0.4 minikube", "", nil, []string{"inner docker load " + reference}},
		"minikube, machine, cri-o":    {reference, "two cri-o://1.30 two", "", nil, []string{"minikube --profile two image load " + reference}},
		"minikube, container, cri-o":  {reference, "two cri-o://1.30 two", "two", nil, []string{"minikube --profile two image load " + reference}},
		"minikube, containerd":        {reference, "minikube containerd://2.1 minikube", "", nil, []string{"minikube --profile minikube image load " + reference}},
		"docker-desktop":              {reference, "docker-desktop docker://28.0.1 ", "", nil, []string{"docker load " + reference}},
		"k3s":                         {reference, "host containerd://2.0.5-k3s1.32 ", "", nil, []string{"k3s ctr --namespace k8s.io images import"}},
		"kubeadm, this repository's":  {reference, "node-0 containerd://1.7.24 ", "", nil, []string{"ctr --namespace k8s.io images import"}},
		"a registry in the cluster":   {"localhost:5001/vow_svc-master:tilt-build-1", "", "", nil, []string{"docker load localhost:5001/vow_svc-master:tilt-build-1", "docker push --quiet localhost:5001/vow_svc-master:tilt-build-1"}},
		"a registry that was named":   {"registry.example/fleet/vow_svc-master:tilt-build-1", "", "", nil, []string{"docker push --quiet registry.example/fleet/vow_svc-master:tilt-build-1"}},
		"a registry without its port": {"localhost/vow_svc-master:tilt-build-1", "", "", nil, []string{"docker push --quiet localhost/"}},
	} {
		t.Run(name, func(t *testing.T) {
			calls, err := deliver(t, c.reference, c.nodes, c.containers, c.environment...)
			if err != nil {
				t.Fatalf("%v: %s", err, calls)
			}
			for _, w := range c.want {
				if !strings.Contains(calls, w) {
					t.Errorf("got\n%swant %s", calls, w)
				}
			}
			if asked := strings.Contains(calls, "kubectl --context the-context get nodes"); asked == strings.Contains(calls, "docker push") {
				t.Errorf("nodes are asked, or it is pushed, and never both: %s", calls)
			}
		})
	}
}

func TestAnImageThatCannotBeTakenSaysWhatCouldHelp(t *testing.T) {
	for nodes, want := range map[string]string{
		"far-away cri-o://1.30 ": "cannot take vow/svc-master:tilt-build-1 to node far-away (cri-o://1.30): unknown runtime; name a registry that it can pull from: tilt ci -- --registry=HOST",
		"":                       "the cluster has no node",
	} {
		calls, err := deliver(t, "vow/svc-master:tilt-build-1", nodes, "")
		if err == nil || !strings.Contains(calls, want) {
			t.Errorf("%q: %v, %s", nodes, err, calls)
		}
	}
}
