package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// Trial is one run of all checks on one cluster.
type Trial struct {
	*api.Client
	// Kubeconfig is for kubectl, which is in Programs.
	Kubeconfig, Programs string
	// Root is the repository, Data where local.sh has built vow.
	Root, Data string
	// Machines are those of the cluster.
	Machines Machines
	// Objects are those to apply, or that Tilt applies.
	Objects []manifest.Object
	// Tilt does what tilt ci does with the Tiltfile.
	Tilt func(context.Context) error
	// Say tells people how far it is.
	Say func(format string, args ...any)

	bangs *load
}

// check is one promise. It returns what it saw.
type check struct {
	promise string
	limit   time.Duration
	try     func(context.Context) (saw string, err error)
}

// Machines are what the pods run on.
type Machines interface {
	// Machines are their names.
	Machines() []string
	// Kill ends one as a loss of its power does; Boot starts it again, and waits until it is Ready.
	Kill(ctx context.Context, name string) error
	Boot(ctx context.Context, name string) error
	// Link takes its cable out, or puts it in.
	Link(ctx context.Context, name string, in bool) error
}

// RunDev makes the checks of tilt/k8s/dev on one machine.
func (t *Trial) RunDev(ctx context.Context) error {
	return t.run(ctx, []check{
		{"what tilt ci does is green: images, objects, the smoke test", 10 * time.Minute, t.tilt},
		{"containers are confined as their manifests say", time.Minute, t.confined},
		{"who may call whom is as the NetworkPolicies say", 2 * time.Minute, t.policies},
		{"bangs go to the Service from now on", time.Minute, t.beginBangs},
		{"a process that is killed -9 is started again", 4 * time.Minute, t.killProcesses},
		{"a computer whose pod is deleted by force comes back", 3 * time.Minute, t.killComputer},
		{"a rolling restart of each workload drains", 8 * time.Minute, t.roll},
		{"a disruption budget refuses the second eviction", 2 * time.Minute, t.evict},
		{"a pod that does not answer gets no calls", 2 * time.Minute, t.unready},
		{"a process that hangs is started again", 4 * time.Minute, t.hang},
		{"no bang was lost", 3 * time.Minute, t.endBangs},
		{"Prometheus reaches every pod", time.Minute, t.scraped},
	})
}

// RunHA makes the checks of tilt/k8s/ha on three machines.
func (t *Trial) RunHA(ctx context.Context) error {
	return t.run(ctx, []check{
		{"every pod is Ready", 6 * time.Minute, t.comeUp},
		{"no two of a service are on a machine", time.Minute, t.apart},
		{"containers are confined as their manifests say", time.Minute, t.confined},
		{"who may call whom is as the NetworkPolicies say", 2 * time.Minute, t.policies},
		{"the smoke test of tilt ci passes", 3 * time.Minute, t.smoke},
		{"bangs go to the Service from now on", time.Minute, t.beginBangs},
		{"a machine without power, the master's of Redis, is done without, and comes back", 6 * time.Minute, t.losePower},
		{"a machine without a cable, the master's of Redis, is done without, and comes back", 6 * time.Minute, t.loseCable},
		{"a machine is drained, and the budgets let no second one be", 6 * time.Minute, t.drain},
		{"a rolling restart of each workload drains", 10 * time.Minute, t.roll},
		{"no bang was lost that was not told", 3 * time.Minute, t.endBangs},
	})
}

// run makes checks, in an order in which each finds what it needs, and sums them up. Without pods there is nothing to go on with; any other check that fails leaves the rest their chance.
func (t *Trial) run(ctx context.Context, checks []check) error {
	var failed error
	var summary []string
	for n, c := range checks {
		within, cancel := context.WithTimeoutCause(ctx, c.limit, fmt.Errorf("%s was not enough", c.limit))
		saw, err := c.try(within)
		cancel()
		line := "ok      " + c.promise + ": " + saw
		if err != nil {
			line = "FAILED  " + c.promise + ": " + err.Error()
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.promise, err))
		}
		t.Say("%s", line)
		summary = append(summary, line)
		if err != nil && (n == 0 || ctx.Err() != nil) {
			t.explain(context.WithoutCancel(ctx))
			break
		}
	}
	fmt.Printf("\n%d of %d checks were made:\n", len(summary), len(checks))
	for _, line := range summary {
		fmt.Println("  " + line)
	}
	return failed
}

// tilt brings everything up as tilt ci would, with its smoke test. Of each workload that waits for one pod; we for all.
func (t *Trial) tilt(ctx context.Context) (string, error) {
	began := time.Now()
	if err := t.Tilt(ctx); err != nil {
		return "", err
	}
	green := time.Since(began)
	if err := t.settled(ctx); err != nil {
		return "", err
	}
	pods, err := t.pods(ctx, "")
	return fmt.Sprintf("green after %.0f s, %d objects, %d pods, all Ready", green.Seconds(), len(t.Objects), len(pods)), err
}

// comeUp applies everything, for good, and waits.
func (t *Trial) comeUp(ctx context.Context) (string, error) {
	for _, o := range t.Objects {
		if err := t.Apply(ctx, o, false); err != nil {
			return "", fmt.Errorf("cannot apply %s: %w", o, err)
		}
	}
	began := time.Now()
	if err := t.settled(ctx); err != nil {
		return "", err
	}
	pods, err := t.pods(ctx, "")
	return fmt.Sprintf("%d objects, %d pods, Ready after %.0f s", len(t.Objects), len(pods), time.Since(began).Seconds()), err
}

// settled waits until every workload has all of its pods, of its newest template, and Ready.
func (t *Trial) settled(ctx context.Context) error {
	for _, w := range t.workloads() {
		if err := t.rolledOut(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trial) smoke(ctx context.Context) (string, error) {
	return "supplied to three computers, requested, banged, converged, one trace", t.script(ctx, "smoke.sh")
}

func (t *Trial) killComputer(ctx context.Context) (string, error) {
	if err := t.script(ctx, "kill.sh", "kubernetes"); err != nil {
		return "", err
	}
	return "svc-node-0, its tree converged after", t.settled(ctx)
}

// script runs a script of Tilt's as Tilt does: it finds the cluster by kubectl port-forward.
func (t *Trial) script(ctx context.Context, name string, args ...string) error {
	scripts := filepath.Join(t.Root, "tilt/scripts")
	command := exec.CommandContext(ctx, filepath.Join(scripts, "in.sh"), append([]string{"kubernetes", filepath.Join(scripts, name)}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+t.Kubeconfig, "VOW_CLUSTER_DATA="+t.Data, "PATH="+t.Programs+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	fmt.Printf("%s", out)
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", name, err)
	}
	return nil
}

// explain shows what the cluster says of itself.
func (t *Trial) explain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, args := range [][]string{{"get", "pods,pv,pvc", "-A", "-o", "wide"}, {"get", "events", "-n", "vow", "--field-selector=type!=Normal"}} {
		command := exec.CommandContext(ctx, filepath.Join(t.Programs, "kubectl"), args...)
		command.Env = append(os.Environ(), "KUBECONFIG="+t.Kubeconfig)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		_ = command.Run() // it is to help, and says itself what it cannot
	}
}
