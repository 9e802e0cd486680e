package app_test

import (
	"strings"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// movable requests a root that may move.
func (m *master) movable(title string, needs *masterv1.Needs) *masterv1.Instance {
	m.t.Helper()
	return must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(m.t.Context(), &masterv1.RequestInstanceRequest{
		Title: title, SoftwareRelease: release, Sla: &masterv1.Sla{MayMove: true, Needs: needs},
	})).GetInstance()
}

func (m *master) instance(id string) *masterv1.Instance {
	m.t.Helper()
	return must[*masterv1.GetInstanceResponse](m)(m.instances.GetInstance(m.t.Context(), &masterv1.GetInstanceRequest{InstanceId: id})).GetInstance()
}

func (m *master) holders(computer string) string {
	m.t.Helper()
	var held []string
	for _, p := range must[*masterv1.GetComputerResponse](m)(m.computers.GetComputer(m.t.Context(), &masterv1.GetComputerRequest{Computer: computer})).GetComputer().GetPartitions() {
		held = append(held, p.GetName()+"="+p.GetInstanceId())
	}
	return strings.Join(held, " ")
}

// A dead computer is evicted: its instances begin anew elsewhere, and nothing that its node says of them counts any more, but that it removed what was left.
func TestAnEvictedNodeCanNeverActForItsInstancesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 2)
		web := m.movable("web", nil)
		kept := m.request("", "kept").GetInstance()
		pinned := must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			Title: "pinned", SoftwareRelease: release, Computer: "one", Sla: &masterv1.Sla{MayMove: true},
		})).GetInstance()
		if pinned.GetAllocationId() != "" {
			t.Fatalf("it has room for %v", pinned)
		}
		m.run(web)
		m.run(kept)
		runID, begun := m.begin(web, typev1.Cause_CAUSE_PERIODICITY)
		evict := func(force bool) (*masterv1.EvictComputerResponse, error) {
			return m.computers.EvictComputer(t.Context(), &masterv1.EvictComputerRequest{Computer: "one", By: "ann", Reason: "its disk burns", Force: force})
		}
		if _, err := evict(false); rpc.CodeOf(err) != rpc.CodeFailedPrecondition || !strings.Contains(err.Error(), "green") {
			t.Fatalf("a green computer is evicted: %v", err)
		}
		m.register("two", 2)
		time.Sleep(61 * time.Minute) // virtual: nobody has heard of it since
		res, err := evict(false)
		if err != nil {
			t.Fatal(err)
		}
		if l := res.GetLeaving(); len(l) != 2 || !l[0].GetEvicted() || l[0].GetInstanceId() != web.GetInstanceId() || l[1].GetEvicted() || !strings.Contains(l[1].GetStays(), "may move") {
			t.Fatalf("leaving are %v", l)
		}
		now := m.instance(web.GetInstanceId())
		if now.GetComputer() != "two" || now.GetAllocationId() == web.GetAllocationId() {
			t.Fatalf("it is %v", now)
		}

		// The old node is back, and knows nothing of this.
		refused := map[string]error{}
		_, refused["a report"] = m.runs.ReportRun(t.Context(), report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS))
		_, refused["a run"] = m.runs.BeginRun(t.Context(), &masterv1.BeginRunRequest{Computer: "one", Partition: "slappart0", AllocationId: web.GetAllocationId(), RunId: "run-after-eviction", Cause: typev1.Cause_CAUSE_BOOT})
		_, refused["a bang"] = m.bangs.Bang(t.Context(), &masterv1.BangRequest{Target: &masterv1.BangRequest_AllocationId{AllocationId: web.GetAllocationId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS, Source: "httpd"})
		_, refused["a publication"] = m.instances.SetConnectionParameters(t.Context(), &masterv1.SetConnectionParametersRequest{AllocationId: web.GetAllocationId(), Token: begun.GetToken(), ConnectionParameters: map[string]string{"url": "old"}})
		_, refused["a request of its run"] = m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			RequesterId: web.GetInstanceId(), RequesterAllocationId: web.GetAllocationId(), RequesterToken: begun.GetToken(), Title: "db", SoftwareRelease: release,
		})
		_, refused["a request of a run of its own"] = m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			RequesterId: web.GetInstanceId(), RequesterLocalAllocationId: web.GetAllocationId(), Title: "db", SoftwareRelease: release,
		})
		for what, err := range refused {
			if rpc.CodeOf(err) != rpc.CodeFailedPrecondition {
				t.Errorf("%s under the old allocation is answered %v", what, err)
			}
		}
		desired := must[*masterv1.GetDesiredResponse](m)(m.desired.GetDesired(t.Context(), &masterv1.GetDesiredRequest{Computer: "one"})).GetPartitions()
		left := desired[0]
		if left.GetPartition() != "slappart0" || left.GetState() != typev1.RequestedState_REQUESTED_STATE_DESTROYED || left.GetAllocationId() == web.GetAllocationId() {
			t.Fatalf("desired of the partition that it left is %v", left)
		}
		if n := len(must[*masterv1.ListAllocationsResponse](m)(m.feed.ListAllocations(t.Context(), &masterv1.ListAllocationsRequest{Computers: []string{"one"}})).GetAllocations()); n != 2 {
			t.Fatalf("svc-scheduler is told of %d allocations, want the one that stays and the remnant", n)
		}
		// Reconciliation leaves the partition to what was left in it, until that is removed; and nothing is put on the computer until it is opened.
		time.Sleep(3 * time.Minute)
		if held := m.holders("one"); held != "slappart0="+left.GetInstanceId()+" slappart1="+kept.GetInstanceId() {
			t.Fatalf("partitions are %s", held)
		}
		m.run(&masterv1.Instance{Computer: "one", Partition: left.GetPartition(), AllocationId: left.GetAllocationId()})
		time.Sleep(3 * time.Minute)
		if held := m.holders("one"); held != "slappart0= slappart1="+kept.GetInstanceId() {
			t.Fatalf("partitions are %s", held)
		}
		if i := m.instance(pinned.GetInstanceId()); !strings.Contains(i.GetUnallocatedReason(), "one is closed: evicted by ann: its disk burns") {
			t.Fatalf("what was requested on it is %v", i)
		}
		must[*masterv1.OpenComputerResponse](m)(m.computers.OpenComputer(t.Context(), &masterv1.OpenComputerRequest{Computer: "one"}))
		time.Sleep(time.Second)
		if i := m.instance(pinned.GetInstanceId()); i.GetPartition() != "slappart0" {
			t.Fatalf("after it was opened what waited for it is %v", i)
		}
	})
}

// A drained computer gets nothing new; what may move leaves it once it fits elsewhere, and the rest runs on.
func TestADrainedComputerKeepsWhatFitsNowhereElse(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 2)
		web := m.movable("web", &masterv1.Needs{MilliCpus: 1500})
		m.run(web)
		drain := func() []*masterv1.Leaving {
			return must[*masterv1.DrainComputerResponse](m)(m.computers.DrainComputer(t.Context(), &masterv1.DrainComputerRequest{Computer: "one", Reason: "new kernel"})).GetLeaving()
		}
		if l := drain(); len(l) != 1 || l[0].GetEvicted() || l[0].GetStays() != "it fits nowhere else: one is closed: drained: new kernel" {
			t.Fatalf("leaving are %v", l)
		}
		if i := m.request("", "new").GetInstance(); i.GetUnallocatedReason() != "one is closed: drained: new kernel" {
			t.Fatalf("a new instance is %v", i)
		}
		m.run(web) // it runs on
		m.register("two", 1)
		time.Sleep(time.Second)
		if i := m.instance(web.GetInstanceId()); i.GetComputer() != "one" {
			t.Fatalf("the place on two goes to who has none: %v", i)
		}
		m.register("three", 1)
		time.Sleep(2 * time.Minute)
		if i := m.instance(web.GetInstanceId()); i.GetComputer() != "three" {
			t.Fatalf("it is %v", i)
		}
		c := must[*masterv1.GetComputerResponse](m)(m.computers.GetComputer(t.Context(), &masterv1.GetComputerRequest{Computer: "three"})).GetComputer()
		if c.GetReserved().GetMilliCpus() != 1500 {
			t.Fatalf("reserved on three are %v", c.GetReserved())
		}
	})
}

// A computer that never comes back is decommissioned: what evictions left on it goes, and its name is refused until it is opened.
func TestADecommissionedComputerIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 2)
		m.register("two", 1)
		web := m.movable("web", nil)
		decommission := func() error {
			_, err := m.computers.DecommissionComputer(t.Context(), &masterv1.DecommissionComputerRequest{Computer: "one"})
			return err
		}
		if err := decommission(); rpc.CodeOf(err) != rpc.CodeFailedPrecondition || !strings.Contains(err.Error(), `instance "web"`) {
			t.Fatalf("a computer in use is decommissioned: %v", err)
		}
		must[*masterv1.EvictComputerResponse](m)(m.computers.EvictComputer(t.Context(), &masterv1.EvictComputerRequest{Computer: "one", Force: true}))
		if n := len(m.tree(web.GetTreeId()).GetInstances()); n != 2 {
			t.Fatalf("the tree has %d instances, want what moved and what it left", n)
		}
		for range 2 { // idempotent
			if err := decommission(); err != nil {
				t.Fatal(err)
			}
		}
		if all := m.tree(web.GetTreeId()).GetInstances(); len(all) != 1 || all[0].GetComputer() != "two" {
			t.Fatalf("the tree has %v", all)
		}
		if all := must[*masterv1.ListComputersResponse](m)(m.computers.ListComputers(t.Context(), &masterv1.ListComputersRequest{})).GetComputers(); len(all) != 1 {
			t.Fatalf("listed are %v", all)
		}
		_, err := m.computers.RegisterComputer(t.Context(), &masterv1.RegisterComputerRequest{Computer: "one"})
		if rpc.CodeOf(err) != rpc.CodeFailedPrecondition || !strings.Contains(err.Error(), "decommissioned") {
			t.Fatalf("a forgotten computer registers again: %v", err)
		}
		must[*masterv1.OpenComputerResponse](m)(m.computers.OpenComputer(t.Context(), &masterv1.OpenComputerRequest{Computer: "one"}))
		m.register("one", 3)
		if all := must[*masterv1.ListComputersResponse](m)(m.computers.ListComputers(t.Context(), &masterv1.ListComputersRequest{})).GetComputers(); len(all) != 2 || all[0].GetClosure() != nil {
			t.Fatalf("listed are %v", all)
		}
	})
}

// Requests get what they ask for: group, labels, and room for what they need; else the reason counts it out.
func TestAPlaceHasWhatItsRequestAsksFor(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 4)
		m.register("two", 4)
		must[*masterv1.LabelComputerResponse](m)(m.computers.LabelComputer(t.Context(), &masterv1.LabelComputerRequest{Computer: "two", Group: "db", Labels: map[string]string{"disk": "nvme"}}))
		place := func(title string, sla *masterv1.Sla) *masterv1.Instance {
			return must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{Title: title, SoftwareRelease: release, Sla: sla})).GetInstance()
		}
		needs := &masterv1.Needs{MilliCpus: 1200}
		for _, c := range []struct {
			title  string
			sla    *masterv1.Sla
			on     string
			reason string
		}{
			{"group", &masterv1.Sla{Group: "db"}, "two", ""},
			{"label", &masterv1.Sla{Labels: map[string]string{"disk": "nvme"}}, "two", ""},
			{"no such label", &masterv1.Sla{Labels: map[string]string{"disk": "tape"}}, "", "one is not labelled disk=tape, two is not labelled disk=tape"},
			{"cpu 1", &masterv1.Sla{Needs: needs}, "one", ""},
			{"cpu 2", &masterv1.Sla{Needs: needs}, "two", ""},
			{"cpu 3", &masterv1.Sla{Needs: needs}, "", "1.2 of 2 CPU of one are reserved, 1.2 more are needed, 1.2 of 2 CPU of two are reserved, 1.2 more are needed"},
			{"memory", &masterv1.Sla{Needs: &masterv1.Needs{MemoryBytes: 1 << 20}}, "", "the memory of one is not known, the memory of two is not known"},
		} {
			if i := place(c.title, c.sla); i.GetComputer() != c.on || i.GetUnallocatedReason() != c.reason {
				t.Errorf("%s: it is on %q: %s", c.title, i.GetComputer(), i.GetUnallocatedReason())
			}
		}
		// Room comes back, and who waits for it is placed.
		must[*masterv1.RegisterComputerResponse](m)(m.computers.RegisterComputer(t.Context(), &masterv1.RegisterComputerRequest{
			Computer: "three", Cpus: 1, Partitions: []*masterv1.Partition{{Name: "p0"}}, Capacity: &masterv1.Capacity{MemoryBytes: 1 << 30},
		}))
		must[*masterv1.SupplySoftwareResponse](m)(m.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: release, Computer: "three"}))
		time.Sleep(time.Second)
		if i := place("memory", &masterv1.Sla{Needs: &masterv1.Needs{MemoryBytes: 1 << 20}}); i.GetComputer() != "three" {
			t.Errorf("who needs memory is %v", i)
		}
	})
}
