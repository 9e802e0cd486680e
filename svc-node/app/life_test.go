package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app"
)

// change wants another state of the partition's instance, and orders the run that brings it about.
func (n *node) change(number int, state typev1.RequestedState, retention time.Duration) {
	d := n.allocate("slappart0", "t1.a1", 2, n.release)
	d.State, d.Generation = state, &typev1.Generation{Epoch: 1, Number: uint64(2 + number)}
	if retention > 0 {
		d.RetentionDelay = durationpb.New(retention)
	}
	n.want(d)
	n.order("slappart0", "t1.a1", number)
	time.Sleep(time.Second)
}

func (n *node) inside(path string) string { return filepath.Join(n.dir, "instance", "slappart0", path) }

const (
	started   = typev1.RequestedState_REQUESTED_STATE_STARTED
	stopped   = typev1.RequestedState_REQUESTED_STATE_STOPPED
	destroyed = typev1.RequestedState_REQUESTED_STATE_DESTROYED
)

func TestThePartitionHasALinkToItsReleaseAndTheDelayOfItsFirstInstall(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		if to, err := os.Readlink(n.inside("software_release")); err != nil || !strings.HasPrefix(to, filepath.Join(n.dir, "software")) {
			t.Errorf("software_release leads to %q, %v", to, err)
		}
		n.change(1, started, 48*time.Hour)
		if days, err := os.ReadFile(n.inside(".slapos-retention-lock-delay")); err != nil || string(days) != "0" {
			t.Errorf("the frozen delay is %q, %v", days, err)
		}
	})
}

func TestTheContentOfADestroyedInstanceIsKeptUntilItsTimeAndThenRemovedWithoutAHand(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		if err := os.WriteFile(n.inside(".slapos-retention-lock-delay"), []byte("1.5"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.change(1, destroyed, 0)
		kept := n.report(1).GetRetainedUntil()
		if left := time.Until(kept.AsTime()); left < 35*time.Hour || left > 36*time.Hour || n.report(1).GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Fatalf("kept for %s: %v", left, n.report(1))
		}
		if len(n.processes.look("slappart0")) != 0 {
			t.Error("a service of a destroyed instance runs")
		}
		n.cut("scheduler")
		n.cut("master")
		n.stop() // what is kept is remembered on the disk
		n.start()
		time.Sleep(time.Until(kept.AsTime()) - time.Minute)
		if _, err := os.Stat(n.inside("etc/service/web")); err != nil {
			t.Fatalf("a minute before its time the content is gone: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if left, err := os.ReadDir(n.inside("")); err != nil || len(left) != 0 {
			t.Errorf("after its time there are %v, %v", left, err)
		}
	})
}

func TestAPartitionStopsAlsoWhenItsProfileFails(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.files.set(0, errors.New("cannot read the profile"))
		n.change(1, stopped, 0)
		if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_FAILURE || r.GetErrorType() != "profile" {
			t.Errorf("report is %v", r)
		}
		if len(n.processes.look("slappart0")) != 0 {
			t.Error("its services run")
		}
		text, err := os.ReadFile(n.inside(".slapgrid-slappart0-error.log"))
		if err != nil || string(text) != "cannot read the profile\n" {
			t.Errorf("kept is %q, %v", text, err)
		}
		n.files.set(0, nil)
		n.change(2, stopped, 0)
		if _, err := os.Stat(n.inside(".slapgrid-slappart0-error.log")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after a success the error is kept: %v", err)
		}
	})
}

func TestARunBeyondItsTimeEndsAsTimeoutWithTheStepNamed(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.files.set(time.Hour, nil)
		n.change(1, started, 0)
		time.Sleep(app.DefaultRunTimeout)
		if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_TIMEOUT || !strings.Contains(r.GetError(), "step profile") {
			t.Errorf("report is %v", r)
		}
	})
}
