package app

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/kit/telemetry"
)

// BenchmarkBangToOrder measures from svc-master's feed entry of a bang to the last order at the node, with a real Redis that keeps every
// acknowledged write, by the number of partitions on the computer. It reports the median and the 99th percentile.
func BenchmarkBangToOrder(b *testing.B) {
	for _, partitions := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) { benchmark(b, partitions) })
	}
}

func benchmark(b *testing.B, partitions int) {
	network, m := memnet.New(), newMaster()
	for i := range partitions {
		m.allocate(i, "c1")
	}
	s := &story{network: network, master: m}
	m.serve(b, s)
	listener, err := network.Listen("scheduler:1")
	if err != nil {
		b.Fatal(err)
	}
	service, err := New(Config{Master: "master:1"}, Settings{
		Server: rpc.Settings{Listener: listener}, Store: storetest.StartRedis(b).Open(b), Dial: network.Dialer("scheduler"),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := service.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	client, err := rpc.NewClient(rpc.Target{Address: "scheduler:1"}, rpc.ClientSettings{Dial: network.Dialer("node")})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer func() {
		cancel()
		client.Close()
		_ = service.Stop(context.Background())
		for _, end := range s.ends {
			end()
		}
	}()
	orders := schedulerv1connect.NewOrderServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	stream, err := orders.Orders(ctx, &schedulerv1.OrdersRequest{Computer: "c1", Slots: 4096})
	if err != nil {
		b.Fatal(err)
	}
	all := func() []*schedulerv1.Order {
		seen := map[string]*schedulerv1.Order{}
		for len(seen) < partitions && stream.Receive() {
			if o := stream.Msg().GetOrder(); o != nil {
				seen[o.GetPartition()] = o
			}
		}
		if len(seen) < partitions {
			b.Fatalf("the stream ended: %v", stream.Err())
		}
		var list []*schedulerv1.Order
		for _, o := range seen {
			list = append(list, o)
		}
		return list
	}
	carryOut := func(list []*schedulerv1.Order) {
		for _, o := range list {
			m.begin(o)
			m.report(o, typev1.RunResult_RUN_RESULT_SUCCESS)
		}
	}
	carryOut(all())
	agendas := schedulerv1connect.NewAgendaServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	idle := func() {
		for {
			res, err := agendas.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{Computer: "c1"})
			if err != nil {
				b.Fatal(err)
			}
			if !slices.ContainsFunc(res.GetEntries(), func(e *schedulerv1.AgendaEntry) bool { return e.GetRunId() != "" }) {
				return
			}
		}
	}
	var took []time.Duration
	for b.Loop() {
		idle()
		began := time.Now()
		m.bang(telemetry.Carrier{})
		list := all()
		took = append(took, time.Since(began))
		carryOut(list)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
}
