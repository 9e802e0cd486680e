package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store/storetest"
)

// loading is what Redis says to a new connection while it reads its file.
type loading struct{}

func (loading) Error() string { return "LOADING Redis is loading the dataset in memory" }
func (loading) RedisError()   {}

// A pipeline over a connection that was refused, by whatever, has no command that seems to be answered: what was asked for is not absent.
func TestNoCommandOfARefusedPipelineIsAnswered(t *testing.T) {
	server := storetest.StartRedis(t)
	s := server.Open(t)
	if err := s.Redis().Set(t.Context(), "there", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.OnConnect(func(context.Context, *redis.Conn) error { return loading{} })
	server.Restart() // each connection from now on is a new one
	// The first attempts may find the dead connections.
	for range 20 {
		p := s.Redis().Pipeline()
		get, fields := p.Get(t.Context(), "there"), p.HMGet(t.Context(), "there", "a", "b")
		if _, err := p.Exec(t.Context()); err == nil {
			t.Fatal("a refused connection took a pipeline")
		}
		if get.Err() == nil || fields.Err() == nil || errors.Is(get.Err(), redis.Nil) {
			t.Fatalf("the commands have no error: %v, %v", get, fields)
		}
	}
}
