package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app/supervisor"
	"github.com/vow-os/vow/svc-node/supervise"
)

// TestALinkThatIsCutCostsNoServiceAndLosesNoBang pulls out the cable to each service of the control plane and to all of them, kills a service
// process meanwhile, and puts the cable in again: the process was replaced at once, its bang arrives once, and the tree converges.
func TestALinkThatIsCutCostsNoServiceAndLosesNoBang(t *testing.T) {
	length := 6 * time.Second
	if os.Getenv("VOW_SOAK") != "" {
		length = time.Minute // beyond the ping's time-out: streams are given up and opened again
	}
	s := beginWith(t, wiring{links: true})
	tree := s.sample()
	client := supervisor.NewClient(filepath.Join(s.dir, "supervisor"))
	services := []string{"web", "store"} // in turn: what exits again within 10 s of being up is a bang storm, which is another rule
	for i, cut := range [][]string{{"svc-scheduler"}, {"svc-promise"}, {"svc-master"}, {"svc-scheduler", "svc-promise", "svc-master"}} {
		t.Run(strings.Join(cut, " and "), func(t *testing.T) {
			ctx := t.Context()
			before := s.bangsOf(ctx, tree.GetTreeId())
			service := services[i%len(services)]
			victim := s.unit(ctx, client, service)
			for _, name := range cut {
				s.links[name].cut()
			}
			began := time.Now()
			if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			await(t, "the process is replaced", func() bool {
				now := s.unit(ctx, client, service)
				return now.State == supervise.Running && now.Incarnation > victim.Incarnation
			})
			<-time.After(time.Until(began.Add(length)))
			if now := s.unit(ctx, client, service); now.State != supervise.Running {
				t.Errorf("after %s the service is %s", length, now.State)
			}
			for _, name := range cut {
				s.links[name].heal()
			}
			var after []*masterv1.Bang
			await(t, "the bang is satisfied", func() bool {
				after = s.bangsOf(ctx, tree.GetTreeId())
				return len(after) > len(before) && after[0].GetSatisfiedAt() != nil
			})
			s.green(tree.GetTreeId())
			if after = s.bangsOf(ctx, tree.GetTreeId()); len(after) != len(before)+1 {
				t.Errorf("one exit made %d bangs: %v", len(after)-len(before), after[:len(after)-len(before)])
			}
		})
	}
}

// bangsOf lists the bangs of processes in a tree, the newest first.
func (s *suite) bangsOf(ctx context.Context, id string) []*masterv1.Bang {
	s.t.Helper()
	response, err := s.bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: id, PageSize: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	var all []*masterv1.Bang
	for _, b := range response.GetBangs() {
		if b.GetOrigin() == typev1.BangOrigin_BANG_ORIGIN_PROCESS {
			all = append(all, b)
		}
	}
	return all
}

// unit is a service of the sample as the supervisor has it.
func (s *suite) unit(ctx context.Context, client *supervisor.Client, service string) supervise.Status {
	s.t.Helper()
	units, err := client.List(ctx, "")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, unit := range units {
		if strings.HasPrefix(unit.Process.Key.Name, service) {
			return unit
		}
	}
	s.t.Fatalf("the supervisor has no service %s", service)
	return supervise.Status{}
}
