package redisstore

import "time"

// Limits names every bound of the store. The zero value of a field is its default.
type Limits struct {
	// FeedEntries is how many entries a shard's feed keeps. 10,000 entries are 10 s of a shard at 1,000 bangs a second;
	// a follower that is further behind reads state, which is cheaper than that many hints.
	FeedEntries int
	// Answers is how many answers by request id a tree keeps at least; twice as many at most.
	Answers int
	// Bangs and Convergences are how many records a tree keeps.
	Bangs, Convergences int
	// AuditEntries is how many audit entries a shard keeps, AuditTree how many of them are of one tree, AuditComputer how many a computer keeps; none is older
	// than AuditAge. 64 shards of 5,000 at 300 bytes are 96 MB.
	AuditEntries, AuditTree, AuditComputer int
	AuditAge                               time.Duration
	// CachedTrees is how many trees are kept decoded. At 10 KiB each the default is 40 MiB.
	CachedTrees int
	// Group is how many callers of one tree are committed together: their answers must fit one script call (500 items).
	Group int
	// Waiting is how many callers may wait for one tree; more are told to come again.
	Waiting int
	// Mailbox is how many feed entries a follower may be behind before it is cut off.
	Mailbox int
	// Block is how long one XREAD waits: how late a server that died without a word is noticed. Stop does not wait for it.
	Block time.Duration
	// Gather is the pause between two XREADs, in which entries gather: 5 ms cost 20 % of a core at 1,000 bangs a second.
	Gather time.Duration
	// Poll is the pause between two rounds of reading on a Redis Cluster, where one XREAD cannot span slots.
	Poll time.Duration
	// Timeout bounds one round trip.
	Timeout time.Duration
}

// withDefaults fills in what was not set.
func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		at    *int
		value int
	}{
		{&l.FeedEntries, 10_000},
		{&l.Answers, 5_000},
		{&l.Bangs, 1_000},
		{&l.Convergences, 100},
		{&l.AuditEntries, 5_000},
		{&l.AuditTree, 2_000},
		{&l.AuditComputer, 1_000},
		{&l.CachedTrees, 4_096},
		{&l.Group, 100},
		{&l.Waiting, 10_000},
		{&l.Mailbox, 10_000},
	} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
	for _, d := range []struct {
		at    *time.Duration
		value time.Duration
	}{
		{&l.AuditAge, 366 * 24 * time.Hour},
		{&l.Block, 5 * time.Second},
		{&l.Gather, 2 * time.Millisecond},
		{&l.Poll, 20 * time.Millisecond},
		{&l.Timeout, 5 * time.Second},
	} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
	return l
}

// Names of the limits, as the limit metric shows them.
const (
	LimitWaiting = "tree_callers"
	LimitMailbox = "feed_mailbox"
)
