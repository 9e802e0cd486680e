package model

import (
	"fmt"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-node/converge"
)

// describe tells an event without addresses, which differ from replay to replay.
func describe(e fleet.Event) string {
	switch e := e.(type) {
	case fleet.Allocate:
		e.Options.Quota = nil
		return fmt.Sprintf("%T %+v", e, e)
	case fleet.ReportRun:
		local := e.Local != nil
		e.Local = nil
		return fmt.Sprintf("%T local %t %+v", e, local, e)
	}
	return fmt.Sprintf("%T %+v", e, e)
}

// answer makes the answer of a step what its handler returns.
func answer[A any](a fleet.Answer, err error) (A, error) {
	out, _ := a.(A)
	return out, err
}

func (m *master) bang(tree string, e fleet.Bang) (fleet.BangAnswer, error) {
	a, err := answer[fleet.BangAnswer](m.step(tree, e, e.RequestID))
	if err == nil {
		err = a.Err()
	}
	return a, err
}

// begun is the answer of BeginRun with the desired state as it is now.
type begun struct {
	fleet.BeginRunAnswer
	desired converge.Desired
}

func (m *master) begin(e fleet.BeginRun) (begun, error) {
	tree := fleet.TreeID(e.AllocationID)
	a, err := answer[fleet.BeginRunAnswer](m.step(tree, e, ""))
	if err != nil || !m.up {
		return begun{}, err
	}
	t := m.tree(tree)
	m.w.checker.notPaused(t, e.AllocationID, m.w.wall(m.host))
	out := begun{BeginRunAnswer: a}
	if i, p := t.Allocated(e.AllocationID); i != nil {
		out.desired = m.item(t, i, p)
		out.desired.Requested = converge.Requested(a.State)
	}
	return out, nil
}

func (m *master) report(e fleet.ReportRun) (fleet.ReportRunAnswer, error) {
	return answer[fleet.ReportRunAnswer](m.step(fleet.TreeID(e.AllocationID), e, ""))
}

func (m *master) request(tree string, e fleet.Request) (fleet.RequestAnswer, error) {
	return answer[fleet.RequestAnswer](m.step(tree, e, e.RequestID))
}

func (m *master) publish(e fleet.Publish) (fleet.PublishAnswer, error) {
	return answer[fleet.PublishAnswer](m.step(fleet.TreeID(e.AllocationID), e, ""))
}

func (m *master) setState(tree string, e fleet.SetState) (fleet.SetStateAnswer, error) {
	return answer[fleet.SetStateAnswer](m.step(tree, e, e.RequestID))
}
