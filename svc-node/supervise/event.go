package supervise

// Event is something that happened, or that somebody wants.
type Event interface{ event() }

// Apply replaces the wanted processes of one partition. A definition that changed restarts its process, one that
// vanished stops it, one that a hand had stopped starts again. The same Apply twice changes nothing.
type Apply struct {
	Partition string
	Processes []Process
}

// Hand is a start, stop or restart of one process by an operator. It holds until the next Apply of the partition.
type Hand struct {
	Key
	Do Action
}

// Action is what a Hand does.
type Action string

// The actions of a Hand.
const (
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart"
)

// Shutdown stops everything: the agent first, then the others by rank. Nothing starts any more. What was wanted stays
// wanted for the next supervisor.
type Shutdown struct{}

// Spawned answers a Launch: the process exists and waits before exec. Identity tells it from a later process with the
// same PID (boot id and start time).
type Spawned struct {
	Key
	Incarnation uint64
	PID         int
	Identity    string
}

// Started says that a released process is now the executable that was asked for.
type Started struct {
	Key
	Incarnation uint64
}

// StartFailed says that a Launch or the exec after it failed, with the reason for humans. The process is gone.
type StartFailed struct {
	Key
	Incarnation uint64
	Reason      string
}

// Exited says that the process ended.
type Exited struct {
	Key
	Incarnation uint64
	Ending      Ending
}

// Tick says that time has passed; see Set.Due. A tick at any moment is harmless: a timer checks the state when it
// fires.
type Tick struct{}

// Resume is the first event of a supervisor that found the units of an earlier one.
type Resume struct {
	// Rebooted says that the machine restarted since: all processes are gone, which is no news, and what runs once per
	// boot runs again.
	Rebooted bool
	// Alive holds the processes that still run.
	Alive map[Key]Alive
}

// Alive is a process that an earlier supervisor started.
type Alive struct {
	PID      int
	Identity string
	// Child says that it is our own child (we are the same process, re-executed): we shall learn how it ends.
	Child bool
	// Incarnation and Fingerprint come from its marker; used only when the journal has no unit of that key.
	Incarnation uint64
	Fingerprint string
}

func (Apply) event()       {}
func (Hand) event()        {}
func (Shutdown) event()    {}
func (Spawned) event()     {}
func (Started) event()     {}
func (StartFailed) event() {}
func (Exited) event()      {}
func (Tick) event()        {}
func (Resume) event()      {}

// Effect is something to do. Effects are carried out in the order given: all Record, Forget and Report of a step must
// be stored before the first other effect is carried out.
type Effect interface{ effect() }

// Record stores the unit as it now is.
type Record struct{ Unit Unit }

// Forget removes what is stored of a unit.
type Forget struct{ Key }

// Report appends the end of a process to the journal and tells the agent.
type Report struct{ Exit Exit }

// Launch creates the process, waiting before exec, and answers with Spawned or StartFailed.
type Launch struct {
	Process     Process
	Incarnation uint64
}

// Release lets the waiting process exec, and answers with Started or StartFailed.
type Release struct {
	Key
	Incarnation uint64
	PID         int
}

// Terminate sends TERM to the process and its group.
type Terminate struct {
	Key
	PID int
}

// Kill sends KILL to the process and its group.
type Kill struct {
	Key
	PID int
}

// Finished ends a Shutdown: nothing runs any more, but what three KILLs could not end.
type Finished struct{}

func (Record) effect()    {}
func (Forget) effect()    {}
func (Report) effect()    {}
func (Launch) effect()    {}
func (Release) effect()   {}
func (Terminate) effect() {}
func (Kill) effect()      {}
func (Finished) effect()  {}
