package store

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// pipelineHook gives the error of a pipeline to its commands when none of them has one. The client leaves them without when a new connection is refused by an answer of Redis, LOADING for example: each then seems to have been
// answered with nothing, which says of any key that was asked for that it is not there.
type pipelineHook struct{}

func (pipelineHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (pipelineHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (pipelineHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		if err != nil && !slices.ContainsFunc(commands, func(c redis.Cmder) bool { return c.Err() != nil }) {
			for _, c := range commands {
				c.SetErr(err)
			}
		}
		return err
	}
}
