package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/kit/telemetry"
)

func TestCommandsAndThePoolAreMeasuredByTheConventions(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel, err := telemetry.Setup(t.Context(), telemetry.Config{LogLevel: "error"}, telemetry.Settings{Service: "test", Shared: true, MetricReader: reader})
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, store.Config{Embedded: true}, store.Settings{Telemetry: tel})
	ctx := t.Context()
	if err := s.Redis().Set(ctx, "{a}key", "a secret", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Redis().Get(ctx, "{a}nothing").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := s.Redis().HGetAll(ctx, "{a}key").Err(); err == nil {
		t.Fatal("a hash in a string")
	}
	if _, err := s.Redis().Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "{a}1")
		p.Incr(ctx, "{a}2")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Redis().LLen(canceled, "{a}list").Err(); err == nil {
		t.Fatal("an answer to nobody")
	}
	got := measured(t, reader)
	for _, want := range []string{
		`db.client.operation.duration s {"get" "redis" ""} 1`, `db.client.operation.duration s {"set" "redis" ""} 1`, `db.client.operation.duration s {"PIPELINE incr" "redis" ""} 1`,
		`db.client.operation.duration s {"hgetall" "redis" "WRONGTYPE"} 1`, `db.client.operation.duration s {"llen" "redis" "canceled"} 1`,
		`db.client.connection.count {connection} {"embedded" "used"} 0`, `db.client.connection.count {connection} {"embedded" "idle"} 1`,
		`db.client.connection.pending_requests {request} {"embedded"} 0`, `db.client.connection.timeouts {timeout} {"embedded"} 0`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("want %s, got %q", want, got)
		}
	}
}

// values are those of a set of labels, in the order of its keys: db.operation.name, db.system.name, error.type.
func values(set attribute.Set) string {
	var all []string
	for _, kv := range set.ToSlice() {
		all = append(all, strconv.Quote(kv.Value.String()))
	}
	return strings.Join(all, " ")
}

// measured is every point of the client: name, unit, values of its labels in the order of their names, count or value.
func measured(t *testing.T, reader *sdkmetric.ManualReader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					found[fmt.Sprintf("%s %s {%s} %d", m.Name, m.Unit, values(p.Attributes), p.Count)] = true
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					found[fmt.Sprintf("%s %s {%s} %d", m.Name, m.Unit, values(p.Attributes), p.Value)] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
