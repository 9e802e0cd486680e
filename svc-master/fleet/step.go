package fleet

import "time"

// Event is anything that happens to a tree: the plain structs of this package that have a method of [Tree] of the same name.
type Event interface {
	apply(t *Tree, now time.Time) (Answer, Effects, error)
}

// Answer is the answer type of the event: BangAnswer for Bang, and so on.
type Answer any

// Step lets any event happen: for batches, simulators and fuzzing. It is the same as the event's own method.
func (t *Tree) Step(e Event, now time.Time) (Answer, Effects, error) { return e.apply(t, now) }

func (e Request) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Request(e, now))
}

func (e Rename) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Rename(e, now))
}

func (e SetState) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.SetState(e, now))
}

func (e Allocate) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Allocate(e, now))
}

func (e Unallocated) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Unallocated(e, now))
}

func (e Freed) apply(t *Tree, now time.Time) (Answer, Effects, error) { return answer(t.Freed(e, now)) }

func (e Evict) apply(t *Tree, now time.Time) (Answer, Effects, error) { return answer(t.Evict(e, now)) }

func (e ReleaseReported) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.ReleaseReported(e, now))
}

func (e Registered) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Registered(e, now))
}

func (e Publish) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Publish(e, now))
}

func (e SetQuota) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.SetQuota(e, now))
}

func (e PauseTree) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.PauseTree(e, now))
}

func (e ResumeTree) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.ResumeTree(e, now))
}

func (e Bang) apply(t *Tree, now time.Time) (Answer, Effects, error) { return answer(t.Bang(e, now)) }

func (e BeginRun) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.BeginRun(e, now))
}

func (e ReportRun) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.ReportRun(e, now))
}

func (e Abandon) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Abandon(e, now))
}

func (e Tick) apply(t *Tree, now time.Time) (Answer, Effects, error) { return answer(t.Tick(e, now)) }

func (e EpochMoved) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.EpochMoved(e, now))
}

func (e TakeHost) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.TakeHost(e, now))
}

func (e HostSaid) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.HostSaid(e, now))
}

func (e HostLost) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.HostLost(e, now))
}

func (e Host) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Host(e, now))
}

func (e Unhost) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Unhost(e, now))
}

func (e Judge) apply(t *Tree, now time.Time) (Answer, Effects, error) {
	return answer(t.Judge(e, now))
}

func answer[T any](a T, fx Effects, err error) (Answer, Effects, error) { return a, fx, err }
