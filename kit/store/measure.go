package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// measuring times each command and each pipeline. Not by redisotel: what it emits is of an older convention, in milliseconds, and does not name the command.
type measuring struct {
	duration metric.Float64Histogram
	// sets are made once for each command and way to end: there are some thirty commands in the code.
	sets *sync.Map // of operation to []metric.RecordOption
}

type operation struct{ name, failure string }

var _ redis.Hook = measuring{}

// measureCommands adds the hook to a client, to each node of a cluster, and makes the metrics of its pool, which the result ends.
func measureCommands(client redis.UniversalClient, pool string, m metric.Meter) (metric.Registration, error) {
	duration, failed := dbconv.NewClientOperationDuration(m)
	hook := measuring{duration.Inst(), &sync.Map{}}
	switch c := client.(type) {
	case *redis.Client:
		c.AddHook(hook)
	case *redis.ClusterClient:
		c.OnNewNode(func(node *redis.Client) { node.AddHook(hook) })
	default:
		return nil, fmt.Errorf("cannot measure a client of type %T", client)
	}
	count, err1 := dbconv.NewClientConnectionCountObservable(m)
	pending, err2 := dbconv.NewClientConnectionPendingRequestsObservable(m)
	timeouts, err3 := dbconv.NewClientConnectionTimeoutsObservable(m)
	if err := errors.Join(failed, err1, err2, err3); err != nil {
		return nil, err
	}
	name := semconv.DBClientConnectionPoolName(pool)
	idle := metric.WithAttributeSet(attribute.NewSet(name, count.AttrClientConnectionState(dbconv.ClientConnectionStateIdle)))
	used := metric.WithAttributeSet(attribute.NewSet(name, count.AttrClientConnectionState(dbconv.ClientConnectionStateUsed)))
	both := metric.WithAttributeSet(attribute.NewSet(name))
	return m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := client.PoolStats()
		o.ObserveInt64(count.Inst(), int64(s.IdleConns), idle)
		o.ObserveInt64(count.Inst(), int64(s.TotalConns)-int64(s.IdleConns), used)
		o.ObserveInt64(pending.Inst(), int64(s.PendingRequests), both)
		o.ObserveInt64(timeouts.Inst(), int64(s.Timeouts), both)
		return nil
	}, count.Inst(), pending.Inst(), timeouts.Inst())
}

// DialHook implements redis.Hook.
func (measuring) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h measuring) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if connecting(command) {
			return next(ctx, command)
		}
		began := time.Now()
		err := next(ctx, command)
		h.record(ctx, command.FullName(), began, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h measuring) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if slices.ContainsFunc(commands, connecting) {
			return next(ctx, commands)
		}
		began := time.Now()
		err := next(ctx, commands)
		h.record(ctx, pipelineName(commands), began, err)
		return err
	}
}

func (h measuring) record(ctx context.Context, name string, began time.Time, err error) {
	key := operation{name, failureOf(err)}
	set, known := h.sets.Load(key)
	if !known {
		// error.type is there also when it is empty: the label keys of a metric do not vary.
		of := attribute.NewSet(semconv.DBSystemNameRedis, semconv.DBOperationName(name), semconv.ErrorTypeKey.String(key.failure))
		set, _ = h.sets.LoadOrStore(key, []metric.RecordOption{metric.WithAttributeSet(of)})
	}
	h.duration.Record(ctx, time.Since(began).Seconds(), set.([]metric.RecordOption)...) //nolint:forcetypeassert // nothing else is in it
}

// replyError is how an error of Redis begins: READONLY, LOADING, OOM.
var replyError = regexp.MustCompile(`^[A-Z]{2,20}$`)

// failureOf is the class of an error; empty for an answer: an absent key is one, and so is a script that is not known yet, which is sent again whole.
func failureOf(err error) string {
	var reply redis.Error
	var network net.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return ""
	case errors.As(err, &reply):
		word, _, _ := strings.Cut(reply.Error(), " ")
		switch {
		case word == "NOSCRIPT":
			return ""
		case replyError.MatchString(word):
			return word
		}
		return conv.Other
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &network), errors.Is(err, net.ErrClosed), isEOF(err):
		return "connection"
	}
	return conv.Other
}
