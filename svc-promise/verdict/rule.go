package verdict

import "time"

// MaxResultCount bounds a window: no promise needs more, and 1000 groups of 100 bytes for each of 100,000 promises are 10 GB.
const MaxResultCount = 1000

// Rule is a window over the newest groups (docs/rules.md, anomaly).
type Rule struct {
	// ResultCount is how many of the newest groups are looked at, 1 to MaxResultCount.
	ResultCount int
	// FailureAmount is how many of them must have failed. 0, or more than ResultCount, can never fail.
	FailureAmount int
	// Latest leaves out groups that are older than so much by the newest group's own clock; 0 = no limit.
	Latest time.Duration
}

// The rules of docs/rules.md: a test has no tolerance, an anomaly detector has its kind's.
var (
	// TestRule is the rule of a promise's test.
	TestRule = Rule{ResultCount: 1, FailureAmount: 1}
	// AnomalyRule is the rule of an anomaly detector.
	AnomalyRule = Rule{ResultCount: 1, FailureAmount: 1}
	// ExecutableAnomalyRule is the rule of the anomaly detector of an executable.
	ExecutableAnomalyRule = Rule{ResultCount: 3, FailureAmount: 3}
)

// NoResult is the message of a promise that has no group yet.
const NoResult = "No result found!"

// NeitherAllowed is the message of a promise that is neither tested nor watched for anomalies.
const NeitherAllowed = "It's not allowed to disable both Test and Anomaly in promise!"

// Group is what one execution of a sensor recorded, as far as verdicts need it.
type Group struct {
	// Sequence counts the groups of a promise, from a number that the node chooses.
	Sequence uint64
	// Previous is the sequence of the group before it; 0 = none, or not told.
	Previous uint64
	// At is when the sensor began, by the node's clock.
	At time.Time
	// Failed is true when an entry was an ERROR or CRITICAL, or the sensor could not be executed.
	Failed bool
	// Message is what it said, for people.
	Message string
}

// gap tells whether what came before groups[i] is missing.
func gap(groups []Group, i int) bool {
	return groups[i].Previous != 0 && (i == 0 || groups[i-1].Sequence != groups[i].Previous)
}

// Fails is what Count says of groups, oldest first; most windows end with a group that passed and need no counting.
func (r Rule) Fails(groups []Group) bool {
	return len(groups) > 0 && groups[len(groups)-1].Failed && r.Count(groups).Fails
}
