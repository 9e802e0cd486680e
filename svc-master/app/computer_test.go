package app_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// What is registered again replaces what was: free partitions go, one in use stays and is named, and with it all else.
func TestARegistrationReplacesAndNeverTakesAPartitionInUse(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 3)
		web := m.request("", "web").GetInstance()
		placed := must[*masterv1.GetInstanceResponse](m)(m.instances.GetInstance(t.Context(), &masterv1.GetInstanceRequest{InstanceId: web.GetInstanceId()})).GetInstance()
		allocation, generation := placed.GetAllocationId(), placed.GetStatus().GetWanted()
		change := func(names ...string) (*masterv1.Computer, error) {
			req := &masterv1.RegisterComputerRequest{
				Computer: "one", Cpus: 8, Periodicity: durationpb.New(600e9), Capacity: &masterv1.Capacity{MemoryBytes: 64 << 30, DiskBytes: 1 << 40},
			}
			for _, name := range names {
				req.Partitions = append(req.Partitions, &masterv1.Partition{Name: name, Addresses: []string{"10.0.0.1", "fd00::1"}})
			}
			_, err := m.computers.RegisterComputer(t.Context(), req)
			return must[*masterv1.GetComputerResponse](m)(m.computers.GetComputer(t.Context(), &masterv1.GetComputerRequest{Computer: "one"})).GetComputer(), err
		}
		names := func(c *masterv1.Computer) string {
			var all []string
			for _, p := range c.GetPartitions() {
				all = append(all, p.GetName())
			}
			return strings.Join(all, " ")
		}
		held := ""
		before := must[*masterv1.GetComputerResponse](m)(m.computers.GetComputer(t.Context(), &masterv1.GetComputerRequest{Computer: "one"})).GetComputer()
		for _, p := range before.GetPartitions() {
			if p.GetInstanceId() == web.GetInstanceId() {
				held = p.GetName()
			}
		}

		after, err := change("another")
		if rpc.CodeOf(err) != rpc.CodeFailedPrecondition || !strings.Contains(err.Error(), held) || !strings.Contains(err.Error(), web.GetInstanceId()) {
			t.Errorf("a registration without %s is answered %v", held, err)
		}
		if names(after) != names(before) || after.GetCpus() != before.GetCpus() || after.GetCapacity() != nil {
			t.Errorf("a refused registration changed it to %v", after)
		}

		after, err = change(held, "another")
		if err != nil || names(after) != strings.Join([]string{"another", held}, " ") {
			t.Errorf("partitions are %s, %v", names(after), err)
		}
		if after.GetCpus() != 8 || after.GetPeriodicity().AsDuration() != 600e9 || after.GetCapacity().GetMemoryBytes() != 64<<30 || after.GetCapacity().GetDiskBytes() != 1<<40 {
			t.Errorf("it has %v", after)
		}
		if p := after.GetPartitions()[1]; p.GetInstanceId() != web.GetInstanceId() || strings.Join(p.GetAddresses(), " ") != "10.0.0.1 fd00::1" {
			t.Errorf("the partition in use is %v", p)
		}
		// Its addresses are what its profile sees: other ones are a change of its instance, which a node that was away hears of too; the same ones again are none.
		wanted := func() *typev1.Generation {
			return must[*masterv1.GetInstanceResponse](m)(m.instances.GetInstance(t.Context(), &masterv1.GetInstanceRequest{InstanceId: web.GetInstanceId()})).GetInstance().GetStatus().GetWanted()
		}
		moved := wanted().GetNumber()
		desired := must[*masterv1.GetDesiredResponse](m)(m.desired.GetDesired(t.Context(), &masterv1.GetDesiredRequest{Computer: "one", Known: []*masterv1.Known{{
			Partition: held, AllocationId: allocation, Generation: generation,
		}}})).GetPartitions()
		if moved != generation.GetNumber()+1 || len(desired) != 1 || desired[0].GetAddresses()[0] != "10.0.0.1" || desired[0].GetGeneration().GetNumber() != moved {
			t.Errorf("with other addresses generation %d is wanted after %v, and the desired state is %v", moved, generation, desired)
		}
		if _, err := change(held, "another"); err != nil || wanted().GetNumber() != moved {
			t.Errorf("with the same addresses generation %d is wanted, after %d: %v", wanted().GetNumber(), moved, err)
		}
		// An older node does not tell what the machine has: that is no news.
		m.register("one", 3)
		listed := must[*masterv1.ListComputersResponse](m)(m.computers.ListComputers(t.Context(), &masterv1.ListComputersRequest{})).GetComputers()
		if len(listed) != 1 || listed[0].GetCapacity().GetDiskBytes() != 1<<40 || listed[0].GetCpus() != 2 {
			t.Errorf("listed are %v", listed)
		}
	})
}
