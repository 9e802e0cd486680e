package store

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

func connect(o *redis.UniversalOptions) redis.UniversalClient {
	client := redis.NewUniversalClient(o)
	client.AddHook(pipelineHook{})
	if o.MasterName != "" {
		client.AddHook(sentinelHook{})
	}
	return client
}

// sentinelHook says of Sentinels which do not know the master that the store cannot be reached. The client hands on their answer, "nothing", which says of any key that was asked for that it is not there.
type sentinelHook struct{}

func (sentinelHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if errors.Is(err, redis.Nil) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no Sentinel knows the master")}
		}
		return conn, err
	}
}

func (sentinelHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (sentinelHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
