package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vow-os/vow/gen/audit"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// maxEntries is what ListAgenda answers at most.
const maxEntries = 10000

type agendas struct {
	owners *owner.Owners
	master *Master
	acts   audit.Recorder
}

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
	return wellknown.Time(a.GetDueAt()).Compare(wellknown.Time(b.GetDueAt()))
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

// Pause stops orders to a computer, or runs of a tree.
func (h *agendas) Pause(ctx context.Context, req *schedulerv1.PauseRequest) (*schedulerv1.PauseResponse, error) {
	if tree := req.GetTreeId(); tree != "" {
		paused, err := h.master.PauseTree(ctx, tree, req)
		return &schedulerv1.PauseResponse{Pause: paused}, coded(err)
	}
	event := agenda.Pause{For: req.GetDuration().AsDuration(), Reason: req.GetReason(), By: req.GetBy()}
	var paused agenda.Paused
	err := h.owners.Look(ctx, req.GetComputer(), func(_ *agenda.Agenda, now time.Time) error {
		paused = event.From(now)
		return nil
	})
	if err != nil {
		return nil, coded(err)
	}
	reason := "until " + paused.Until.UTC().Format(time.RFC3339)
	if req.GetReason() != "" {
		reason += ": " + req.GetReason()
	}
	err = h.acts.Do(ctx, &masterv1.RecordActRequest{
		Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_PAUSED, Target: &masterv1.RecordActRequest_Computer{Computer: req.GetComputer()}, Reason: reason, By: req.GetBy(),
	}, func() error {
		return h.owners.Do(ctx, req.GetComputer(), func(_ *agenda.Agenda, now time.Time) ([]agenda.Event, error) {
			paused = event.From(now)
			return []agenda.Event{event}, nil
		})
	})
	if err != nil {
		return nil, coded(fmt.Errorf("cannot pause computer %q: %w", req.GetComputer(), err))
	}
	return &schedulerv1.PauseResponse{Pause: pause(paused)}, nil
}

// Resume lets orders to a computer flow, or runs of a tree begin, again.
func (h *agendas) Resume(ctx context.Context, req *schedulerv1.ResumeRequest) (*schedulerv1.ResumeResponse, error) {
	if tree := req.GetTreeId(); tree != "" {
		return &schedulerv1.ResumeResponse{}, coded(h.master.ResumeTree(ctx, tree, req.GetBy()))
	}
	var was agenda.Paused
	paused := false
	err := h.owners.Look(ctx, req.GetComputer(), func(a *agenda.Agenda, now time.Time) error {
		was, paused = a.Pause, a.Pause.In(now)
		return nil
	})
	if err != nil || !paused {
		return &schedulerv1.ResumeResponse{}, coded(err)
	}
	err = h.acts.Do(ctx, &masterv1.RecordActRequest{
		Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_RESUMED, Target: &masterv1.RecordActRequest_Computer{Computer: req.GetComputer()}, Reason: "it was " + was.String(), By: req.GetBy(),
	}, func() error {
		return h.owners.Do(ctx, req.GetComputer(), func(*agenda.Agenda, time.Time) ([]agenda.Event, error) {
			return []agenda.Event{agenda.Resume{By: req.GetBy()}}, nil
		})
	})
	if err != nil {
		return nil, coded(fmt.Errorf("cannot resume computer %q: %w", req.GetComputer(), err))
	}
	return &schedulerv1.ResumeResponse{}, nil
}

// errNothingToCancel says that nothing is there that can be cancelled.
var errNothingToCancel = errors.New("nothing can be cancelled")

// Cancel takes out what is due.
func (h *agendas) Cancel(ctx context.Context, req *schedulerv1.CancelRequest) (*schedulerv1.CancelResponse, error) {
	res := &schedulerv1.CancelResponse{}
	err := h.owners.Do(ctx, req.GetComputer(), func(a *agenda.Agenda, _ time.Time) ([]agenda.Event, error) {
		e, err := find(a, req.GetPartition())
		if err != nil {
			return nil, err
		}
		causes, err := e.Cancellable(req.GetRequestId())
		if err != nil {
			return nil, fmt.Errorf("cannot cancel the run of %s/%s: %w (%w)", a.Computer, e.Partition, err, errNothingToCancel)
		}
		res.Cancelled = nil
		for _, c := range causes {
			res.Cancelled = append(res.Cancelled, typev1.Cause(c))
		}
		return []agenda.Event{agenda.Cancel{Partition: e.Partition, RequestID: req.GetRequestId(), Reason: req.GetReason(), By: req.GetBy()}}, nil
	})
	if err != nil {
		return nil, coded(err)
	}
	after, err := h.GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: req.GetComputer(), Partition: req.GetPartition()})
	res.Entry = after.GetEntry()
	return res, err
}

func find(a *agenda.Agenda, partition string) (*agenda.Entry, error) {
	if e := a.Entries[partition]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("cannot find partition %q of computer %q: %w", partition, a.Computer, owner.ErrUnknownPartition)
}
