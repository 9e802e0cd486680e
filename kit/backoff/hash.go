package backoff

const (
	fnvOffset64 = 14695981039346656037
	fnvPrime64  = 1099511628211
)

// Hash is FNV-1a 64 over the bytes of id, followed by a mixing finaliser (docs/rules.md, "hashes").
//
// The finaliser is needed because FNV-1a of ids that differ in their last characters only differs mostly in its low
// bits: phases, which look at the high bits, would bunch. The value is stable for ever: stored trees are found by it.
func Hash(id string) uint64 {
	h := uint64(fnvOffset64)
	for i := range len(id) {
		h ^= uint64(id[i])
		h *= fnvPrime64
	}
	return mix(h)
}

// Shard maps an id to one of n shards, 0 … n-1. It panics when n < 1: the number of shards is a constant of an
// installation, never input.
func Shard(id string, n int) int {
	if n < 1 {
		panic("cannot map an id to fewer than one shard")
	}
	return int(Hash(id) % uint64(n))
}

// mix is the 64-bit finaliser of MurmurHash3: every input bit changes every output bit with probability near 1/2.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}
