package command

import (
	"context"
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

func (*fake) DrainComputer(_ context.Context, r *masterv1.DrainComputerRequest) (*masterv1.DrainComputerResponse, error) {
	if r.GetReason() != "new kernel" || r.GetBy() == "" || !r.GetAll() {
		return nil, rpc.Errorf(rpc.CodeInvalidArgument, "cannot drain with %v", r)
	}
	return &masterv1.DrainComputerResponse{Leaving: []*masterv1.Leaving{
		{InstanceId: "t0123456789ab.i1", Title: "web", Partition: "slappart0", Evicted: true},
		{InstanceId: "t0123456789ab.i2", Title: "db", Partition: "slappart1", Stays: "it was requested on this computer"},
	}}, nil
}

func (*fake) LabelComputer(_ context.Context, r *masterv1.LabelComputerRequest) (*masterv1.LabelComputerResponse, error) {
	return &masterv1.LabelComputerResponse{Computer: &masterv1.Computer{Name: r.GetComputer(), Group: r.GetGroup(), Labels: r.GetLabels()}}, nil
}

// A drain says of each instance whether it leaves, and why not.
func TestADrainTellsWhatLeavesAndWhatStays(t *testing.T) {
	serve(t)
	code, out, errOut := run(t, "computer", "drain", "laptop", "-m", "new kernel", "--all")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"laptop is drained", "slappart0  t0123456789ab.i1  web    leaves", "db     stays  it was requested on this computer"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if _, out, _ := run(t, "computer", "drain", "laptop", "-m", "new kernel", "--all", "-o", "json"); !strings.Contains(out, `"stays": "it was requested on this computer"`) {
		t.Errorf("as JSON it is\n%s", out)
	}
}

// Labels are keys with values; a computer is forgotten only by who says yes.
func TestComputersAreLabelledAndForgottenWithCare(t *testing.T) {
	serve(t)
	if _, out, _ := run(t, "computer", "label", "laptop", "--group", "db", "disk=nvme"); out != "laptop: group db, disk=nvme\n" {
		t.Errorf("it says %q", out)
	}
	if code, _, errOut := run(t, "computer", "label", "laptop", "nvme"); code != exitUsage || !strings.Contains(errOut, `cannot use label "nvme"`) {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if code, _, errOut := run(t, "computer", "decommission", "laptop"); code != exitUsage || !strings.Contains(errOut, "--yes") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if code, out, errOut := run(t, "computer", "list"); code != exitOK || !strings.Contains(out, "server") {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
}

// What an instance needs is said with units people use.
func TestARequestSaysWhatItNeeds(t *testing.T) {
	f := serve(t)
	if code, _, errOut := run(t, "request", "web", "file:///r", "--cpu", "0.5", "--memory", "2GiB", "--disk", "1000", "--group", "db", "--label", "disk=nvme", "--may-move"); code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	sla := (<-f.requested).GetSla()
	if n := sla.GetNeeds(); n.GetMilliCpus() != 500 || n.GetMemoryBytes() != 2<<30 || n.GetDiskBytes() != 1000 || sla.GetGroup() != "db" || sla.GetLabels()["disk"] != "nvme" || !sla.GetMayMove() {
		t.Errorf("it asks for %v", sla)
	}
	for _, wrong := range [][]string{{"--memory", "2 gigs"}, {"--memory", "NaN"}, {"--cpu", "5000"}, {"--label", "nvme"}} {
		if code, _, errOut := run(t, append([]string{"request", "web", "file:///r"}, wrong...)...); code != exitUsage {
			t.Errorf("%v: exit %d: %s", wrong, code, errOut)
		}
	}
}
