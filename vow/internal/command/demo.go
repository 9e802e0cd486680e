package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/console/waterfall"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/endpoint"
	"github.com/vow-os/vow/vow/internal/local"
)

const (
	// convergeTimeout is how long the demo waits for convergence after the kill.
	convergeTimeout = 10 * time.Second
	// bangGoal and convergeGoal are what the demo measures itself against: three partitions on two cores.
	bangGoal     = 50 * time.Millisecond
	convergeGoal = 500 * time.Millisecond
)

// demoResult is what the demo found.
type demoResult struct {
	Process       string  `json:"process"`
	PID           uint32  `json:"pid"`
	BangID        string  `json:"bang_id"`
	TraceID       string  `json:"trace_id"`
	KillToBang    float64 `json:"kill_to_bang_seconds"`
	KillToConverg float64 `json:"kill_to_converged_seconds"`

	Convergence jsonMessage `json:"convergence"`
	converged   *masterv1.Convergence
}

// newDemo is `vow demo`: a process is killed, and the tree converges.
func newDemo(s *session) *cobra.Command {
	var u upFlags
	command := &cobra.Command{
		Use: "demo", GroupID: "local", Short: "Kill a service process and draw how its tree converges",
		Long: `Run a fleet of its own in a temporary directory, wait until the sample is Green, kill a service process, wait for convergence, and draw the way from the bang to it.

With --master and --node it uses a running fleet instead: its sample, and the processes of the node on this machine.
Fails when the tree does not converge within 10 s.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if s.endpoints.Master != "" || s.data != "" {
				return s.demoRunning(ctx)
			}
			dir, err := os.MkdirTemp("", "vow-demo-")
			if err != nil {
				return fmt.Errorf("cannot make a directory for the demo: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			const free = "127.0.0.1:0"
			at := endpoint.Set{Master: free, Scheduler: free, Promise: free}
			config := local.Config{
				Directory: dir, Redis: u.redis, Embedded: u.embedded, Computer: "demo", Partitions: 5, Version: Version, Endpoints: at,
			}
			return runLocal(ctx, config, func(fleet *local.Fleet, f *client.Fleet) error {
				s.tell("store: %s", fleet.Store())
				tree, err := requestSample(ctx, dir, config.Computer, f)
				if err != nil {
					return err
				}
				return s.demo(ctx, f, tree)
			})
		},
	}
	command.Flags().StringVar(&u.redis, "redis", "", "`URL` of a Redis to use instead of a redis-server of our own")
	command.Flags().BoolVar(&u.embedded, "embedded", false, "use the embedded store even when there is a redis-server on PATH")
	return command
}

// tell says how far a long command is; with -o json only the result is written.
func (s *session) tell(format string, args ...any) {
	if !s.json() {
		fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// demoRunning is the demo on a fleet that runs already.
func (s *session) demoRunning(ctx context.Context) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Node == nil {
		return errNoNode
	}
	tree, err := getTree(ctx, f, sampleTitle)
	if err != nil {
		return err
	}
	if tree, err = awaitGreen(ctx, f, tree.GetTreeId(), greenTimeout); err != nil {
		return err
	}
	return s.demo(ctx, f, tree)
}

// demo kills a process of a Green tree, waits for convergence and shows it.
func (s *session) demo(ctx context.Context, f *client.Fleet, tree *masterv1.Tree) error {
	s.tell("tree %s is Green: %d instances", tree.GetTitle(), len(tree.GetInstances()))
	victim, err := chooseVictim(ctx, f)
	if err != nil {
		return err
	}
	result, err := kill(ctx, f, tree, victim)
	if err != nil {
		return err
	}
	if s.json() {
		return s.object(result)
	}
	s.tell("killed %s (pid %d) with SIGKILL\n", result.Process, result.PID)
	if err := waterfall.Draw(s.out, result.converged, time.Now(), width()); err != nil {
		return err
	}
	s.tell("")
	s.tell("kill to bang       %s  (goal %s)", verdict(result.KillToBang, bangGoal), waterfall.Milliseconds(bangGoal))
	s.tell("kill to converged  %s  (goal %s)", verdict(result.KillToConverg, convergeGoal), waterfall.Milliseconds(convergeGoal))
	s.tell("trace              %s", result.TraceID)
	return nil
}

// verdict is a figure with whether it meets its goal.
func verdict(seconds float64, goal time.Duration) string {
	took := time.Duration(seconds * float64(time.Second))
	word := "ok"
	if took > goal {
		word = "short"
	}
	return fmt.Sprintf("%10s  %s", waterfall.Milliseconds(took), word)
}

// chooseVictim is the watched process of the last partition: the first is the root's, whose fall would be less of a surprise.
func chooseVictim(ctx context.Context, f *client.Fleet) (*nodev1.Process, error) {
	response, err := f.Node.ListProcesses(ctx, &nodev1.ListProcessesRequest{})
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	for i := len(response.GetProcesses()) - 1; i >= 0; i-- {
		if p := response.GetProcesses()[i]; p.GetWatched() && p.GetPid() != 0 {
			return p, nil
		}
	}
	return nil, errors.New("cannot choose a process to kill: no watched process runs")
}

// kill ends a process and waits until its tree has converged.
func kill(ctx context.Context, f *client.Fleet, tree *masterv1.Tree, victim *nodev1.Process) (*demoResult, error) {
	ctx, cancel := context.WithTimeout(ctx, convergeTimeout)
	defer cancel()
	killed := time.Now()
	if err := syscall.Kill(int(victim.GetPid()), syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("cannot kill %s/%s: %w", victim.GetPartition(), victim.GetName(), err)
	}
	var bang *masterv1.Bang
	err := poll(ctx, "no bang came", func() (bool, error) {
		response, err := f.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree.GetTreeId(), PageSize: 1})
		if err != nil || len(response.GetBangs()) == 0 {
			return false, err
		}
		bang = response.GetBangs()[0]
		return bang.GetOrigin() == typev1.BangOrigin_BANG_ORIGIN_PROCESS && !bang.GetAt().AsTime().Before(killed), nil
	})
	if err != nil {
		return nil, err
	}
	converged, err := f.Vow.WaitConverged(ctx, bang.GetBangId())
	if err != nil {
		return nil, err
	}
	return &demoResult{
		Process: victim.GetPartition() + "/" + victim.GetName(), PID: victim.GetPid(), BangID: bang.GetBangId(), TraceID: converged.GetTraceId(),
		KillToBang: bang.GetAt().AsTime().Sub(killed).Seconds(), KillToConverg: converged.GetClosedAt().AsTime().Sub(killed).Seconds(),
		Convergence: jsonMessage{converged}, converged: converged,
	}, nil
}
