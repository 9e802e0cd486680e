package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// stored is everything that the store holds but contacts, as text.
func (m *master) stored() string {
	m.t.Helper()
	ctx := m.t.Context()
	client := m.redis.Redis()
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil {
		m.t.Fatal(err)
	}
	slices.Sort(keys)
	var out strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&out, "%s\n", key)
		switch client.Type(ctx, key).Val() {
		case "hash":
			fields := client.HGetAll(ctx, key).Val()
			delete(fields, "contact")
			for _, f := range slices.Sorted(maps.Keys(fields)) {
				fmt.Fprintf(&out, "  %s = %q\n", f, fields[f])
			}
		case "set":
			members := client.SMembers(ctx, key).Val()
			slices.Sort(members)
			fmt.Fprintf(&out, "  %q\n", members)
		case "list":
			fmt.Fprintf(&out, "  %q\n", client.LRange(ctx, key, 0, -1).Val())
		case "stream":
			fmt.Fprintf(&out, "  %v\n", client.XRange(ctx, key, "-", "+").Val())
		}
	}
	return out.String()
}

// Input that is refused names what is wrong, with its code, and changes nothing.
func TestRefusedInputChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		instances := m.family()
		root, child := instances[0], instances[1]
		runID, begun := m.begin(child, typev1.Cause_CAUSE_MANUAL)
		big := map[string]string{"a": strings.Repeat("x", 40<<10), "b": strings.Repeat("y", 30<<10)}
		title := func(s string) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := m.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: s, SoftwareRelease: release})
				return err
			}
		}
		begin := func(computer, partition, allocation string) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := m.runs.BeginRun(ctx, &masterv1.BeginRunRequest{
					Computer: computer, Partition: partition, AllocationId: allocation, RunId: "run-of-somebody-else", Cause: typev1.Cause_CAUSE_MANUAL,
				})
				return err
			}
		}
		reported := func(change func(*masterv1.ReportRunRequest)) func(context.Context) error {
			return func(ctx context.Context) error {
				r := report(child, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
				change(r)
				_, err := m.runs.ReportRun(ctx, r)
				return err
			}
		}
		banged := func(r *masterv1.BangRequest) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := m.bangs.Bang(ctx, r)
				return err
			}
		}
		manual := typev1.BangOrigin_BANG_ORIGIN_MANUAL
		before := m.stored()
		for name, c := range map[string]struct {
			call func(context.Context) error
			code rpc.Code
			says string
		}{
			"title empty":             {title(""), rpc.CodeInvalidArgument, "title"},
			"title with a line break": {title("a\nb"), rpc.CodeInvalidArgument, "title"},
			"title with a C1 control": {title("a\u0085b"), rpc.CodeInvalidArgument, "title"},
			"title of 256 bytes":      {title(strings.Repeat("é", 128)), rpc.CodeInvalidArgument, "title"},
			"release not a URL": {func(ctx context.Context) error {
				_, err := m.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: "x", SoftwareRelease: "hello"})
				return err
			}, rpc.CodeInvalidArgument, "software_release"},
			"parameters over 64 KiB": {func(ctx context.Context) error {
				_, err := m.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: "x", SoftwareRelease: release, Parameters: big})
				return err
			}, rpc.CodeInvalidArgument, "parameters: 71682 bytes"},
			"requester unknown": {func(ctx context.Context) error {
				_, err := m.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: "x", SoftwareRelease: release, RequesterId: "tnobody.i1"})
				return err
			}, rpc.CodeNotFound, "tnobody"},
			"requester not in its tree": {func(ctx context.Context) error {
				_, err := m.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: "x", SoftwareRelease: release, RequesterId: root.GetTreeId() + ".i99"})
				return err
			}, rpc.CodeNotFound, ".i99"},
			"state of nothing": {func(ctx context.Context) error {
				_, err := m.instances.SetInstanceState(ctx, &masterv1.SetInstanceStateRequest{InstanceId: "tnobody.i1", State: typev1.RequestedState_REQUESTED_STATE_STOPPED})
				return err
			}, rpc.CodeNotFound, "tnobody.i1"},
			"destroy a title of nobody": {func(ctx context.Context) error {
				_, err := m.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: "nobody", SoftwareRelease: release, State: typev1.RequestedState_REQUESTED_STATE_DESTROYED})
				return err
			}, rpc.CodeNotFound, "nobody"},

			"computer of another alphabet": {func(ctx context.Context) error {
				_, err := m.computers.RegisterComputer(ctx, &masterv1.RegisterComputerRequest{Computer: "One"})
				return err
			}, rpc.CodeInvalidArgument, "computer"},
			"partition listed twice": {func(ctx context.Context) error {
				_, err := m.computers.RegisterComputer(ctx, &masterv1.RegisterComputerRequest{Computer: "two", Partitions: []*masterv1.Partition{{Name: "a"}, {Name: "a"}}})
				return err
			}, rpc.CodeInvalidArgument, `"a" is listed twice`},
			"address that is none": {func(ctx context.Context) error {
				_, err := m.computers.RegisterComputer(ctx, &masterv1.RegisterComputerRequest{Computer: "two", Partitions: []*masterv1.Partition{{Name: "a", Addresses: []string{"localhost"}}}})
				return err
			}, rpc.CodeInvalidArgument, "addresses"},
			"partition in use left out": {func(ctx context.Context) error {
				_, err := m.computers.RegisterComputer(ctx, &masterv1.RegisterComputerRequest{Computer: "one"})
				return err
			}, rpc.CodeFailedPrecondition, "slappart0"},
			"memory that is none": {func(ctx context.Context) error {
				_, err := m.computers.RegisterComputer(ctx, &masterv1.RegisterComputerRequest{Computer: "two", Capacity: &masterv1.Capacity{MemoryBytes: 1 << 60}})
				return err
			}, rpc.CodeInvalidArgument, "capacity.memory_bytes"},
			"computer unknown": {func(ctx context.Context) error {
				_, err := m.computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: "two"})
				return err
			}, rpc.CodeNotFound, `"two"`},
			"supply to an unknown one": {func(ctx context.Context) error {
				_, err := m.software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{Computer: "two", SoftwareRelease: release})
				return err
			}, rpc.CodeNotFound, `"two"`},
			"removal of a release in use": {func(ctx context.Context) error {
				_, err := m.software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{Computer: "one", SoftwareRelease: release, State: masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED})
				return err
			}, rpc.CodeFailedPrecondition, "uses it"},
			"report of a strange release": {func(ctx context.Context) error {
				_, err := m.software.ReportSoftwareState(ctx, &masterv1.ReportSoftwareStateRequest{Computer: "one", SoftwareRelease: "file:///y", State: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE})
				return err
			}, rpc.CodeNotFound, "file:///y"},

			"begin on an unknown computer":  {begin("two", "slappart0", child.GetAllocationId()), rpc.CodeNotFound, `"two"`},
			"begin in an unknown partition": {begin("one", "slappart9", child.GetAllocationId()), rpc.CodeNotFound, "slappart9"},
			"begin in another partition":    {begin("one", root.GetPartition(), child.GetAllocationId()), rpc.CodeFailedPrecondition, child.GetPartition()},
			"begin of another allocation":   {begin("one", child.GetPartition(), child.GetTreeId()+".a99"), rpc.CodeFailedPrecondition, ".a99"},
			"begin in an unknown tree":      {begin("one", child.GetPartition(), "tnobody.a1"), rpc.CodeFailedPrecondition, "tnobody.a1"},

			"report with a stale token":        {reported(func(r *masterv1.ReportRunRequest) { r.Token-- }), rpc.CodeFailedPrecondition, "token"},
			"report of another allocation":     {reported(func(r *masterv1.ReportRunRequest) { r.AllocationId = child.GetTreeId() + ".a99" }), rpc.CodeFailedPrecondition, ".a99"},
			"report of a run that never began": {reported(func(r *masterv1.ReportRunRequest) { r.RunId = "a-run-that-never-began" }), rpc.CodeFailedPrecondition, "never-began"},
			"report without a result":          {reported(func(r *masterv1.ReportRunRequest) { r.Result = 0 }), rpc.CodeInvalidArgument, "result"},
			"publish with a stale token": {func(ctx context.Context) error {
				_, err := m.instances.SetConnectionParameters(ctx, &masterv1.SetConnectionParametersRequest{AllocationId: child.GetAllocationId(), Token: 99, ConnectionParameters: map[string]string{"a": "b"}})
				return err
			}, rpc.CodeFailedPrecondition, "99"},
			"publish over 64 KiB": {func(ctx context.Context) error {
				_, err := m.instances.SetConnectionParameters(ctx, &masterv1.SetConnectionParametersRequest{AllocationId: child.GetAllocationId(), Token: begun.GetToken(), ConnectionParameters: big})
				return err
			}, rpc.CodeInvalidArgument, "connection_parameters: 71682 bytes"},

			"bang of nothing":               {banged(&masterv1.BangRequest{Origin: manual, Source: "me", RequestId: "r"}), rpc.CodeInvalidArgument, "target"},
			"manual bang without an id":     {banged(&masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: root.GetTreeId()}, Origin: manual, Source: "me"}), rpc.CodeInvalidArgument, "request_id"},
			"bang of an unknown tree":       {banged(&masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: "tnobody"}, Origin: manual, Source: "me", RequestId: "r"}), rpc.CodeNotFound, "tnobody"},
			"bang of a former allocation":   {banged(&masterv1.BangRequest{Target: &masterv1.BangRequest_AllocationId{AllocationId: root.GetTreeId() + ".a99"}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROMISE, Source: "p"}), rpc.CodeFailedPrecondition, ".a99"},
			"bang of an unknown computer":   {banged(&masterv1.BangRequest{Target: &masterv1.BangRequest_Computer{Computer: "two"}, Origin: typev1.BangOrigin_BANG_ORIGIN_COMPUTER, Source: "me", RequestId: "r"}), rpc.CodeNotFound, `"two"`},
			"promise that bangs for a tree": {banged(&masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: root.GetTreeId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROMISE, Source: "p"}), rpc.CodeInvalidArgument, "allocation_id"},

			"usage of an unknown computer": {func(ctx context.Context) error {
				_, err := m.usage.ReportUsage(ctx, &masterv1.ReportUsageRequest{Computer: "two"})
				return err
			}, rpc.CodeNotFound, `"two"`},
			"usage of no number": {func(ctx context.Context) error {
				_, err := m.usage.ReportUsage(ctx, &masterv1.ReportUsageRequest{Computer: "one", Samples: []*masterv1.UsageSample{{
					AllocationId: "t.a1", At: timestamppb.New(time.Unix(1, 0)), Consumed: map[string]float64{"x": math.NaN()},
				}}})
				return err
			}, rpc.CodeInvalidArgument, `"x"`},
			"usage of no day": {func(ctx context.Context) error {
				_, err := m.usage.ListUsage(ctx, &masterv1.ListUsageRequest{FirstDay: "2026-13-01"})
				return err
			}, rpc.CodeInvalidArgument, "2026-13-01"},
			"rename": {func(ctx context.Context) error {
				_, err := m.instances.RenameInstance(ctx, &masterv1.RenameInstanceRequest{InstanceId: root.GetTreeId() + ".i9", Title: "x"})
				return err
			}, rpc.CodeNotFound, ".i9"},
			"a convergence of nothing": {func(ctx context.Context) error {
				_, err := m.converge.GetConvergence(ctx, &masterv1.GetConvergenceRequest{Id: root.GetTreeId() + ".c9"})
				return err
			}, rpc.CodeNotFound, ".c9"},
		} {
			err := c.call(t.Context())
			if rpc.CodeOf(err) != c.code || !strings.Contains(rpc.Message(err), c.says) {
				t.Errorf("%s: %v, want %s that says %q", name, err, c.code, c.says)
			}
			if after := m.stored(); after != before {
				t.Fatalf("%s changed what is stored from\n%s\nto\n%s", name, before, after)
			}
		}
	})
}

// A message that is not protobuf is refused as invalid and changes nothing.
func TestMalformedMessageIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.family()
		before := m.stored()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.client.BaseURL()+"/vow.master.v1.BangService/Bang", bytes.NewReader([]byte{0xff, 0x01, 0x02}))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/proto")
		res, err := m.client.HTTP().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "invalid_argument") {
			t.Fatalf("the answer is %d: %s", res.StatusCode, body)
		}
		if m.stored() != before {
			t.Fatal("a malformed message changed what is stored")
		}
	})
}
