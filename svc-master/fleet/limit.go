package fleet

import "time"

// Bounds of one tree. Each has a name so that hitting it can be told and measured.
const (
	// MaxInstances of a tree. One aggregate must load and commit in milliseconds: 10,000 partitions are about 10 MB.
	MaxInstances = 10_000
	// MaxRetention of the content of a destroyed instance: ten years.
	MaxRetention = 3650 * 24 * time.Hour
	// MaxHosted is how many shared instances an instance hosts, MaxHostedBytes how many bytes their titles and parameters may have together: its desired
	// state is one message of 4 MiB at most, with what it publishes for them.
	MaxHosted      = 500
	MaxHostedBytes = 1 << 20
	// MaxDepth is how long a chain of requesters may be; the deepest trees known have 5.
	MaxDepth = 32
	// MaxLabels is how many labels a computer has, and a request asks for.
	MaxLabels = 32
	// MaxLabel is the longest key or value of a label, and group, in bytes.
	MaxLabel = 63
	// MaxTitle is the longest title in bytes.
	MaxTitle = 255
	// MaxParameters is the size of the parameters of an instance, and of its connection parameters, in bytes of keys and values.
	MaxParameters = 64 << 10
	// MaxBangKeys kept per partition. A partition's second bang is muted until BeginRun, so that more than one key per source and run is rare.
	MaxBangKeys = 32
	// MaxRecentRuns kept per partition, reported and superseded: how late a repeated report still gets its first answer.
	MaxRecentRuns = 8
	// MaxFutileRows kept per partition: sources that bang in turn. The oldest is forgotten first.
	MaxFutileRows = 64
	// MaxBoots of a machine whose local runs are told apart per partition.
	MaxBoots = 4
	// MaxScopes awaited at once by a convergence; beyond it a bang of the policy `ancestors` concerns the whole tree.
	MaxScopes = 256
	// MaxBangsTold is how many awaiting bangs a group names at its beginning, and as many at its end; all are counted.
	MaxBangsTold = 4
	// MaxTimeline is the number of moments a convergence keeps; later ones are counted as dropped.
	MaxTimeline = 1000
	// MaxTextKept of a message or an error in moments and alarms, in bytes; records keep it in full.
	MaxTextKept = 500
	// MaxErrorKept of the latest run, in bytes: the end of the error.
	MaxErrorKept = 16 << 10
	// MaxMessage of a bang, in bytes.
	MaxMessage = 5000
	// MaxSource is the longest name of who noticed, in bytes.
	MaxSource = 255
	// MaxAuditChanges is how many changed things an audit entry names, MaxAuditName how many bytes of each.
	MaxAuditChanges = 32
	MaxAuditName    = 64
	// EpochGap is the least that sequences skip when the epoch moves, so that an id given out just before the loss of data is not given twice.
	EpochGap = 1 << 20
	// EpochStep is what they skip for each number that the epoch moves by, which grows with the seconds that may be lost: more than a tree gives out in one.
	EpochStep = 1 << 14
)

// MaxProblems is how many problems of a partition are kept.
const MaxProblems = 10

// Times of docs/rules.md.
const (
	// MaxPeriod is the longest time between two runs of a partition ("periodicity").
	MaxPeriod = 24 * time.Hour
	// MinPeriod is the shortest ("release periodicity file").
	MinPeriod = time.Minute
	// Freshness is how much longer than its period a result stays Green ("periodicity").
	Freshness = time.Minute
	// AbandonAfter is how long a convergence may stay open (docs/architecture.md, the loop).
	AbandonAfter = 24 * time.Hour
	// FutileFrom is the number in a row from which futile bangs wait ("futile bangs").
	FutileFrom = 3
	// FutileUp is how long a process must be up for its exit not to be futile ("futile bangs").
	FutileUp = 10 * time.Second
	// GoodTime ends a row of futile bangs or a publish loop ("futile bangs", "publish loops").
	GoodTime = 10 * time.Minute
	// LoopFrom is the number of publishing runs in a row from which the wake-up waits ("publish loops").
	LoopFrom = 3
	// FirstDelay and LastDelay are the ends of the growing delay ("growing delay").
	FirstDelay = time.Second
	LastDelay  = time.Hour
	// DefaultQuota is the number of bangs per UTC day that may open or widen a convergence ("quota").
	DefaultQuota = 1440
	// GreenAge and OrangeAge are the ages of the last contact up to which a computer is Green and Orange ("computer colour").
	GreenAge  = 5 * time.Minute
	OrangeAge = 60 * time.Minute
	// Unconfirmed is how long after a start of the control plane a Red due to age alone is not sure ("partition colour").
	Unconfirmed = 60 * time.Second
)
