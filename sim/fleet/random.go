package fleet

import (
	"math/rand/v2"
	"sync"
)

// random gives svc-master the same ids in every telling: shards and phases are hashes of them. It outlives restarts.
type random struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func newRandom() *random { return &random{from: rand.NewChaCha8([32]byte{'v', 'o', 'w'})} }

// Read fills b.
func (r *random) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from.Read(b)
}
