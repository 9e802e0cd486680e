package app_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// watched is an open WatchDesired; got holds what came and was not looked at yet.
type watched struct {
	got chan *masterv1.WatchDesiredResponse
}

func (m *master) watch(computer string, known ...*masterv1.Known) *watched {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	stream, err := m.desired.WatchDesired(ctx, &masterv1.WatchDesiredRequest{Computer: computer, Known: known})
	if err != nil {
		m.t.Fatal(err)
	}
	w := &watched{got: make(chan *masterv1.WatchDesiredResponse, 100)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for stream.Receive() {
			w.got <- stream.Msg()
		}
	}()
	m.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return w
}

// all takes what has come by now.
func (w *watched) all() (partitions []*masterv1.DesiredPartition, freed []string, software bool) {
	time.Sleep(10 * time.Millisecond) // virtual: longer than the reader of the feed pauses
	synctest.Wait()
	for {
		select {
		case r := <-w.got:
			partitions, freed, software = append(partitions, r.GetPartitions()...), append(freed, r.GetFreed()...), software || r.GetSoftwareChanged()
		default:
			return partitions, freed, software
		}
	}
}

// A node that watches sees what is wanted of it as it changes, and only that.
func TestWatchDesiredTellsWhatChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 4)
		w := m.watch("one")
		if partitions, freed, software := w.all(); len(partitions) != 0 || len(freed) != 0 || !software {
			t.Fatalf("an empty computer is told %v, %v, %v", partitions, freed, software)
		}
		root := m.request("", "shop").GetInstance()
		partitions, _, software := w.all()
		if len(partitions) != 1 || partitions[0].GetAllocationId() != root.GetAllocationId() || partitions[0].GetParameters()["port"] != "80" || software {
			t.Fatalf("a request is told as %v", partitions)
		}
		if period := partitions[0].GetPeriod().AsDuration(); period != time.Hour {
			t.Fatalf("the period is %v, want that of the computer", period)
		}
		known := &masterv1.Known{Partition: root.GetPartition(), AllocationId: root.GetAllocationId(), Generation: partitions[0].GetGeneration()}
		stale := &masterv1.Known{Partition: "slappart3", AllocationId: "tother.a1"}
		resumed := m.watch("one", known, stale)
		if partitions, freed, _ := resumed.all(); len(partitions) != 0 || len(freed) != 1 || freed[0] != "slappart3" {
			t.Fatalf("a node that knows all but one is told %v, %v", partitions, freed)
		}

		must[*masterv1.ReportSoftwareStateResponse](m)(m.software.ReportSoftwareState(t.Context(), &masterv1.ReportSoftwareStateRequest{
			Computer: "one", SoftwareRelease: release, State: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE,
			Options: &masterv1.ReleaseOptions{Periodicity: durationpb.New(5 * time.Minute)},
		}))
		partitions, _, software = w.all()
		if len(partitions) == 0 || partitions[len(partitions)-1].GetPeriod().AsDuration() != 5*time.Minute || !software {
			t.Fatalf("a release with a periodicity is told as %v, software %v", partitions, software)
		}

		must[*masterv1.SetInstanceStateResponse](m)(m.instances.SetInstanceState(t.Context(), &masterv1.SetInstanceStateRequest{
			InstanceId: root.GetInstanceId(), State: typev1.RequestedState_REQUESTED_STATE_DESTROYED,
		}))
		if partitions, _, _ = w.all(); len(partitions) != 1 || partitions[0].GetState() != typev1.RequestedState_REQUESTED_STATE_DESTROYED {
			t.Fatalf("destruction is told as %v", partitions)
		}
		m.run(root)
		if _, freed, _ := w.all(); len(freed) != 1 || freed[0] != root.GetPartition() {
			t.Fatalf("the end of a destroyed instance is told as freed %v", freed)
		}
		// Its title and its partition are free again, and nothing names the former tenant.
		again := m.request("", "shop").GetInstance()
		if again.GetTreeId() == root.GetTreeId() || again.GetPartition() != root.GetPartition() {
			t.Fatalf("the title names %v", again)
		}
	})
}

// A release that becomes available wakes those that wait for it, once.
func TestAvailableReleaseWakesOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 4)
		root := m.request("", "shop").GetInstance()
		wanted := func() *typev1.Generation {
			return must[*masterv1.GetInstanceResponse](m)(m.instances.GetInstance(t.Context(), &masterv1.GetInstanceRequest{InstanceId: root.GetInstanceId()})).GetInstance().GetStatus().GetWanted()
		}
		say := func(state masterv1.SoftwareState) {
			must[*masterv1.ReportSoftwareStateResponse](m)(m.software.ReportSoftwareState(t.Context(), &masterv1.ReportSoftwareStateRequest{Computer: "one", SoftwareRelease: release, State: state}))
		}
		before := wanted().GetNumber()
		say(masterv1.SoftwareState_SOFTWARE_STATE_BUILDING)
		if wanted().GetNumber() != before {
			t.Fatal("a release that is being installed woke somebody")
		}
		say(masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE)
		first := wanted().GetNumber()
		say(masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE)
		if first != before+1 || wanted().GetNumber() != first {
			t.Fatalf("wanted went from %d to %d to %d", before, first, wanted().GetNumber())
		}
	})
}

// A request without room is stored with the exact reason, and placed when there is room.
func TestRequestWithoutRoomIsPlacedLater(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		if got := m.request("", "early"); got.GetReady() || got.GetReason() != "not allocated: no computer is registered" {
			t.Fatalf("with no computer the reason is %q", got.GetReason())
		}
		m.register("one", 1)
		synctest.Wait()
		time.Sleep(time.Second)
		got := m.request("", "early")
		if got.GetInstance().GetPartition() != "slappart0" {
			t.Fatalf("with a computer the instance is %v", got)
		}
		late := m.request("", "late")
		if late.GetReason() != "not allocated: 1 of 1 partitions of one hold instances" {
			t.Fatalf("with a full computer the reason is %q", late.GetReason())
		}
		if c := m.tree(late.GetInstance().GetTreeId()).GetColour(); c.GetColour() != typev1.Colour_COLOUR_RED {
			t.Fatalf("a tree that is not allocated is %v", c)
		}
		must[*masterv1.SetInstanceStateResponse](m)(m.instances.SetInstanceState(t.Context(), &masterv1.SetInstanceStateRequest{
			InstanceId: got.GetInstance().GetInstanceId(), State: typev1.RequestedState_REQUESTED_STATE_DESTROYED,
		}))
		m.run(got.GetInstance())
		time.Sleep(time.Second)
		if got := m.request("", "late"); got.GetInstance().GetPartition() != "slappart0" {
			t.Fatalf("after a partition became free the instance is %v", got)
		}
	})
}

// A computer is Green while its link lives, although nobody says anything, and ages after that.
func TestLinkKeepsComputerGreen(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		colour := func() typev1.Colour {
			return must[*masterv1.GetComputerResponse](m)(m.computers.GetComputer(t.Context(), &masterv1.GetComputerRequest{Computer: "one"})).GetComputer().GetColour().GetColour()
		}
		time.Sleep(6 * time.Minute)
		if c := colour(); c != typev1.Colour_COLOUR_ORANGE {
			t.Fatalf("after six silent minutes the computer is %v", c)
		}
		ctx, cancel := context.WithCancel(t.Context())
		link, err := m.links.Link(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := link.Send(&masterv1.LinkRequest{Message: &masterv1.LinkRequest_Hello{Hello: &masterv1.LinkHello{Computer: "one"}}}); err != nil {
			t.Fatal(err)
		}
		if welcome, err := link.Receive(); err != nil || welcome.GetWelcome().GetReconnectWindow() == nil {
			t.Fatalf("the welcome is %v, %v", welcome, err)
		}
		time.Sleep(time.Hour)
		if c := colour(); c != typev1.Colour_COLOUR_GREEN {
			t.Fatalf("with an open link the computer is %v", c)
		}
		cancel()
		_, _ = link.Receive()
		m.client.Close()
	})
}

// Nodes are told when to come back by the size of the fleet: the window of a few is what the user set, that of many is longer.
func TestALargeFleetIsToldALongerWindow(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		window := func() time.Duration {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			link, err := m.links.Link(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := link.Send(&masterv1.LinkRequest{Message: &masterv1.LinkRequest_Hello{Hello: &masterv1.LinkHello{Computer: "one"}}}); err != nil {
				t.Fatal(err)
			}
			welcome, err := link.Receive()
			if err != nil {
				t.Fatal(err)
			}
			return welcome.GetWelcome().GetReconnectWindow().AsDuration()
		}
		m.register("one", 1)
		alone := window()
		const computers = 500
		for n := range computers - 1 {
			m.register(fmt.Sprint("more", n), 1)
		}
		if many := window(); many != max(alone, computers*12*time.Millisecond) || many == alone {
			t.Fatalf("one computer is told %s, one of %d %s", alone, computers, many)
		}
		m.client.Close()
	})
}

// A convergence that stays open is abandoned after a day.
func TestConvergenceIsAbandonedAfterADay(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		instances := m.family()
		bang := must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			Target: &masterv1.BangRequest_TreeId{TreeId: instances[0].GetTreeId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "me", RequestId: "r1",
		})).GetResults()[0]
		state := func() masterv1.ConvergenceState {
			return must[*masterv1.GetConvergenceResponse](m)(m.converge.GetConvergence(t.Context(), &masterv1.GetConvergenceRequest{Id: bang.GetConvergenceId()})).GetConvergence().GetState()
		}
		time.Sleep(24*time.Hour - time.Minute)
		if s := state(); s != masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN {
			t.Fatalf("before a day it is %v", s)
		}
		time.Sleep(3 * time.Minute)
		if s := state(); s != masterv1.ConvergenceState_CONVERGENCE_STATE_ABANDONED {
			t.Fatalf("after a day it is %v", s)
		}
	})
}
