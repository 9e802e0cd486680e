package redisstore

import "time"

// Bounds that nobody sets.
const (
	// maxAnswers is how many answers by request id a tree keeps at least; twice as many at most.
	maxAnswers = 5_000
	// maxConvergences is how many ended convergences a tree keeps.
	maxConvergences = 100
	// cachedTrees is how many trees are kept decoded: at 10 KiB each 40 MiB.
	cachedTrees = 4_096
	// maxGroup is how many callers of one tree are committed together: their answers must fit one script call (500 items).
	maxGroup = 100
	// block is how long one XREAD waits: how late a server that died without a word is noticed. Stop does not wait for it.
	block = 5 * time.Second
	// gather is the pause between two XREADs, in which entries gather: 5 ms cost 20 % of a core at 1,000 bangs a second.
	gather = 2 * time.Millisecond
	// poll is the pause between two rounds of reading on a Redis Cluster, where one XREAD cannot span slots.
	poll = 20 * time.Millisecond
	// timeout bounds one round trip.
	timeout = 5 * time.Second
)

// Limits names the bounds that a test makes smaller. The zero value of a field is its default.
type Limits struct {
	// FeedEntries is how many entries a shard's feed keeps. 10,000 entries are 10 s of a shard at 1,000 bangs a second;
	// a follower that is further behind reads state, which is cheaper than that many hints.
	FeedEntries int
	// Bangs is how many records of bangs a tree keeps.
	Bangs int
	// AuditEntries is how many audit entries a shard keeps, AuditTree how many of them are of one tree, AuditComputer how many a computer keeps; none is older
	// than AuditAge. 64 shards of 5,000 at 300 bytes are 96 MB.
	AuditEntries, AuditTree, AuditComputer int
	AuditAge                               time.Duration
	// Waiting is how many callers may wait for one tree; more are told to come again.
	Waiting int
	// Mailbox is how many feed entries a follower may be behind before it is cut off.
	Mailbox int
}

// withDefaults fills in what was not set.
func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		at    *int
		value int
	}{
		{&l.FeedEntries, 10_000},
		{&l.Bangs, 1_000},
		{&l.AuditEntries, 5_000},
		{&l.AuditTree, 2_000},
		{&l.AuditComputer, 1_000},
		{&l.Waiting, 10_000},
		{&l.Mailbox, 10_000},
	} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
	if l.AuditAge == 0 {
		l.AuditAge = 366 * 24 * time.Hour
	}
	return l
}

// Names of the limits, as the limit metric shows them.
const (
	LimitWaiting = "tree_callers"
	LimitMailbox = "feed_mailbox"
)
