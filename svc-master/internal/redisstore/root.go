package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// fieldRenamed is when a title was reserved for a tree that has another one yet: its rename is under way for renameWithin.
const (
	fieldRenamed = "renamed"
	renameWithin = time.Minute
)

// ReserveTitle reserves another title for a tree that exists, and tells whose it is. The rename must be committed within half of renameWithin.
func (s *Store) ReserveTitle(ctx context.Context, account, title, treeID string) (holder string, err error) {
	if holder, err = s.ReserveRoot(ctx, account, title, treeID); err != nil || holder != treeID {
		return holder, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.client.HSet(ctx, rootKey(account, title), fieldRenamed, time.Now().UnixMilli()).Err(); err != nil {
		return "", &UnavailableError{fmt.Sprintf("cannot reserve the title %q", title), err}
	}
	return holder, nil
}

// FreeStaleTitle frees a title under which a tree was found that has another title: what a rename left that was cut short. While one may be under way it does nothing.
func (s *Store) FreeStaleTitle(ctx context.Context, account, title, treeID string) error {
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	at, err := s.client.HGet(bounded, rootKey(account, title), fieldRenamed).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return &UnavailableError{fmt.Sprintf("cannot look at the title %q", title), err}
	}
	if err == nil && time.Since(time.UnixMilli(at)) < renameWithin {
		return nil
	}
	return s.ReleaseRoot(ctx, account, title, treeID)
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
