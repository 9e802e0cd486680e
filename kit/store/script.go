package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// MaxScriptKeys bounds the keys of one call; what touches more items is split by its caller, who must.
const MaxScriptKeys = 1000

// Script is a Lua script; its source is a commented .lua file, embedded.
type Script struct {
	name, source, sha string
}

// NewScript names a script; name appears in errors.
func NewScript(name, source string) *Script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // see above
	return &Script{name: name, source: source, sha: hex.EncodeToString(sum[:])}
}

// Name is the name given to NewScript.
func (s *Script) Name() string { return s.name }

// check is the assertion before writing: keys of different slots work on one server and fail on a Cluster, so that
// they are refused everywhere.
func (s *Script) check(keys []string) error {
	if len(keys) > MaxScriptKeys {
		return fmt.Errorf("cannot run script %s: %d keys, at most %d", s.name, len(keys), MaxScriptKeys)
	}
	if err := oneSlot(keys); err != nil {
		return fmt.Errorf("cannot run script %s: %w", s.name, err)
	}
	return nil
}

// Run runs a script by its hash, and sends its source only to a server that does not know it. It may have run even if
// it returns an error that IsUnavailable: mutating scripts check a request id.
func (s *Store) Run(ctx context.Context, script *Script, keys []string, args ...any) *redis.Cmd {
	if err := script.check(keys); err != nil {
		return failed(ctx, err)
	}
	cmd := s.client.EvalSha(ctx, script.sha, keys, args...)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = s.client.Eval(ctx, script.source, keys, args...)
	}
	return cmd
}

// Call is a script with its arguments.
type Call struct {
	Script *Script
	Keys   []string
	Args   []any
}

// RunAll runs scripts in one pipeline, in order for those of one server; each is atomic, all together are not. The
// answers are in the order of the calls; each has its own error.
func (s *Store) RunAll(ctx context.Context, calls []Call) []*redis.Cmd {
	answers := make([]*redis.Cmd, len(calls))
	var todo []int
	for i, call := range calls {
		if err := call.Script.check(call.Keys); err != nil {
			answers[i] = failed(ctx, err)
			continue
		}
		todo = append(todo, i)
	}
	s.pipeline(ctx, calls, todo, answers, func(p redis.Pipeliner, c Call) *redis.Cmd {
		return p.EvalSha(ctx, c.Script.sha, c.Keys, c.Args...)
	})
	var unknown []int
	for _, i := range todo {
		if redis.HasErrorPrefix(answers[i].Err(), "NOSCRIPT") {
			unknown = append(unknown, i)
		}
	}
	s.pipeline(ctx, calls, unknown, answers, func(p redis.Pipeliner, c Call) *redis.Cmd {
		return p.Eval(ctx, c.Script.source, c.Keys, c.Args...)
	})
	return answers
}

func (s *Store) pipeline(ctx context.Context, calls []Call, which []int, answers []*redis.Cmd, add func(redis.Pipeliner, Call) *redis.Cmd) {
	if len(which) == 0 {
		return
	}
	p := s.client.Pipeline()
	for _, i := range which {
		answers[i] = add(p, calls[i])
	}
	_, _ = p.Exec(ctx) // each answer has its own error
}

// RunOver runs calls of one script over one connection, in one pipeline, for OnConnect. Of a Cluster, calls for another server's slots are answered MOVED.
func (s *Store) RunOver(ctx context.Context, conn *redis.Conn, script *Script, calls []Call) []*redis.Cmd {
	p := conn.Pipeline()
	p.ScriptLoad(ctx, script.source)
	answers := make([]*redis.Cmd, len(calls))
	for i, call := range calls {
		answers[i] = p.EvalSha(ctx, script.sha, call.Keys, call.Args...)
	}
	_, _ = p.Exec(ctx) // each answer has its own error
	return answers
}

func failed(ctx context.Context, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}
