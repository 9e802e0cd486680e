package redisstore

import (
	"context"
	"time"
)

// replicasKey holds the replicas of svc-master that are there.
const replicasKey = "{masters}"

const (
	// AnnounceEvery is how often a replica says that it is there.
	AnnounceEvery = time.Minute
	// replicaLease is after how long a silent one is forgotten: two announcements may be late. Until then a dead one costs a call a refused connection.
	replicaLease = 3 * time.Minute
)

// Announce says that a replica is reached under an address; with an empty one it leaves. It answers the addresses of all that are there, by id.
// Errors: *UnavailableError.
func (s *Store) Announce(ctx context.Context, id, address string) (map[string]string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	answer, err := s.redis.Run(ctx, s.scripts.replica, []string{replicasKey}, id, address, replicaLease.Microseconds()).StringSlice()
	if err != nil {
		return nil, &UnavailableError{"cannot announce a replica", err}
	}
	there := make(map[string]string, len(answer)/2)
	for i := 0; i+1 < len(answer); i += 2 {
		there[answer[i]] = answer[i+1]
	}
	return there, nil
}
