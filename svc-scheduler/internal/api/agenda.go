package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// maxEntries is what ListAgenda answers at most.
const maxEntries = 10000

type agendas struct{ owners *owner.Owners }

var _ schedulerv1connect.AgendaServiceHandler = (*agendas)(nil)

// GetAgenda shows one partition, from memory if its computer's stream is here, else as it is stored.
func (h *agendas) GetAgenda(ctx context.Context, req *schedulerv1.GetAgendaRequest) (*schedulerv1.GetAgendaResponse, error) {
	res := &schedulerv1.GetAgendaResponse{}
	err := h.owners.Look(ctx, req.GetComputer(), func(a *agenda.Agenda, now time.Time) error {
		e, err := find(a, req.GetPartition())
		if err == nil {
			res.Entry = entry(a, e, now)
			res.Entry.Decisions = decisions(e)
		}
		return err
	})
	if err != nil {
		return nil, coded(err)
	}
	return res, nil
}

// ListAgenda shows a computer, or all of them.
func (h *agendas) ListAgenda(ctx context.Context, req *schedulerv1.ListAgendaRequest) (*schedulerv1.ListAgendaResponse, error) {
	computers := []string{req.GetComputer()}
	if req.GetComputer() == "" {
		all, err := h.owners.Computers(ctx)
		if err != nil {
			return nil, coded(err)
		}
		computers = all
	}
	res := &schedulerv1.ListAgendaResponse{}
	for _, computer := range computers {
		err := h.owners.Look(ctx, computer, func(a *agenda.Agenda, now time.Time) error {
			for _, e := range a.Sorted() {
				res.Entries = append(res.Entries, entry(a, e, now))
			}
			return nil
		})
		if err != nil && (req.GetComputer() != "" || !errors.Is(err, owner.ErrUnknownComputer)) {
			return nil, coded(err)
		}
	}
	slices.SortStableFunc(res.Entries, byDue)
	res.Entries = res.Entries[:min(len(res.Entries), maxEntries)]
	return res, nil
}

// byDue puts what is due next first; what is not due, because it runs, is before all.
func byDue(a, b *schedulerv1.AgendaEntry) int {
	return timeOf(a.GetDueAt()).Compare(timeOf(b.GetDueAt()))
}

// RunNow makes one run due.
func (h *agendas) RunNow(ctx context.Context, req *schedulerv1.RunNowRequest) (*schedulerv1.RunNowResponse, error) {
	err := h.owners.Do(ctx, req.GetComputer(), func(a *agenda.Agenda, _ time.Time) ([]agenda.Event, error) {
		if _, err := find(a, req.GetPartition()); err != nil {
			return nil, err
		}
		return []agenda.Event{agenda.RunNow{Partition: req.GetPartition(), RequestID: req.GetRequestId()}}, nil
	})
	if err != nil {
		return nil, coded(err)
	}
	return &schedulerv1.RunNowResponse{}, nil
}

// Pause stops orders to a computer.
func (h *agendas) Pause(ctx context.Context, req *schedulerv1.PauseRequest) (*schedulerv1.PauseResponse, error) {
	if req.GetTreeId() != "" {
		return nil, rpc.Unimplemented("Pause of a tree")
	}
	if err := h.owners.Do(ctx, req.GetComputer(), always(agenda.Pause{Reason: req.GetReason()})); err != nil {
		return nil, coded(err)
	}
	return &schedulerv1.PauseResponse{}, nil
}

// Resume lets orders to a computer flow again.
func (h *agendas) Resume(ctx context.Context, req *schedulerv1.ResumeRequest) (*schedulerv1.ResumeResponse, error) {
	if req.GetTreeId() != "" {
		return nil, rpc.Unimplemented("Resume of a tree")
	}
	if err := h.owners.Do(ctx, req.GetComputer(), always(agenda.Resume{})); err != nil {
		return nil, coded(err)
	}
	return &schedulerv1.ResumeResponse{}, nil
}

func always(e agenda.Event) func(*agenda.Agenda, time.Time) ([]agenda.Event, error) {
	return func(*agenda.Agenda, time.Time) ([]agenda.Event, error) { return []agenda.Event{e}, nil }
}

func find(a *agenda.Agenda, partition string) (*agenda.Entry, error) {
	if e := a.Entries[partition]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("cannot find partition %q of computer %q: %w", partition, a.Computer, owner.ErrUnknownPartition)
}
