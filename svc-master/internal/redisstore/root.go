package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The index of roots maps (account, title) to a tree id, in a slot of its own. The id is reserved here before the tree is
// committed: a tree that was never committed is made, under the reserved id, by the next request of that title.

// ReserveRoot returns the tree id of a title, which is proposed when the title is new. Idempotent.
func (s *Store) ReserveRoot(ctx context.Context, account, title, proposed string) (treeID string, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	key := rootKey(account, title)
	// Two commands do what a script would: the second reads whoever won the first.
	if err := s.client.HSetNX(ctx, key, "tree", proposed).Err(); err != nil {
		return "", &UnavailableError{fmt.Sprintf("cannot reserve the title %q", title), err}
	}
	treeID, err = s.client.HGet(ctx, key, "tree").Result()
	if err != nil {
		return "", &UnavailableError{fmt.Sprintf("cannot reserve the title %q", title), err}
	}
	return treeID, nil
}

// Root finds the tree of a title. Errors: *NotFoundError, *UnavailableError.
func (s *Store) Root(ctx context.Context, account, title string) (treeID string, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	treeID, err = s.client.HGet(ctx, rootKey(account, title), "tree").Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", &NotFoundError{"tree", title}
	case err != nil:
		return "", &UnavailableError{fmt.Sprintf("cannot find tree %q", title), err}
	}
	return treeID, nil
}

// ReleaseRoot frees a title whose tree is gone. A title that names another tree is left alone.
func (s *Store) ReleaseRoot(ctx context.Context, account, title, treeID string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err := s.redis.Run(ctx, s.scripts.release, []string{rootKey(account, title)}, treeID).Err()
	if err != nil {
		return &UnavailableError{fmt.Sprintf("cannot free the title %q", title), err}
	}
	return nil
}
