package pythonhost

import "time"

// Request is one execution of a Python promise.
type Request struct {
	// Partition is its name; Directory its absolute path, the working directory.
	Partition, Directory string
	// Path of the promise's file, absolute; File is the path within the partition, as people know it.
	Path, File string
	Timeout    time.Duration
	// Env is the whole environment.
	Env []string
	// User is whom the promise's process becomes; nil = the agent's own user.
	User *User
	// Asked says that a run tests the promise: its result file shows the test, else the anomaly detector's.
	Asked bool
	// Learned, if not nil, takes what the promise said of itself, before Sense returns.
	Learned func(Traits)
}

// User is a user by numbers.
type User struct {
	UID    int   `json:"uid"`
	GID    int   `json:"gid"`
	Groups []int `json:"groups"`
}

// Traits is what a promise says of itself in its constructor.
type Traits struct {
	// Period is the time between two executions without a run.
	Period                time.Duration
	Testless, Anomalyless bool
}
