package redisstore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// decode reads the fields of a hash.
func decode(fields map[string]string) Stored {
	var s Stored
	for name, value := range fields {
		switch {
		case name == headField:
			var head storev1.AgendaHead
			if proto.Unmarshal([]byte(value), &head) != nil {
				s.Broken = append(s.Broken, name)
				continue
			}
			s.Head = Head{
				BootID: head.GetBootId(), Slots: int(head.GetSlots()), Connected: head.GetConnected(), Pause: headPause(&head),
			}
		case strings.HasPrefix(name, "#"):
		default:
			e, err := decodeEntry(name, []byte(value))
			if err != nil {
				s.Broken = append(s.Broken, name)
				continue
			}
			s.Entries = append(s.Entries, e)
		}
	}
	slices.Sort(s.Broken)
	slices.SortFunc(s.Entries, func(a, b *agenda.Entry) int { return strings.Compare(a.Partition, b.Partition) })
	return s
}

func encodeHead(h Head) (string, error) {
	b, err := proto.Marshal(&storev1.AgendaHead{
		BootId: h.BootID, Slots: uint32(max(h.Slots, 0)), Connected: h.Connected,
		Paused: h.Pause != agenda.Paused{}, PauseReason: h.Pause.Reason, PausedUntil: wellknown.Timestamp(h.Pause.Until), PausedBy: h.Pause.By, PausedAt: wellknown.Timestamp(h.Pause.At),
	})
	return string(b), err
}

// headPause is the pause of a computer. One that was stored before pauses had an end ends after the longest.
func headPause(h *storev1.AgendaHead) agenda.Paused {
	if !h.GetPaused() {
		return agenda.Paused{}
	}
	p := agenda.Paused{Until: wellknown.Time(h.GetPausedUntil()), At: wellknown.Time(h.GetPausedAt()), Reason: h.GetPauseReason(), By: h.GetPausedBy()}
	if p.Until.IsZero() {
		p.Until = time.Now().Add(agenda.MaxPause)
	}
	return p
}

// PauseOf is the pause of a tree as a message has it, here and in the contract; unset is none.
func PauseOf(p *typev1.Pause) agenda.Paused {
	return agenda.Paused{Generation: GenerationOf(p.GetGeneration()), Until: wellknown.Time(p.GetUntil()), At: wellknown.Time(p.GetAt()), Reason: p.GetReason(), By: p.GetBy()}
}

// decodeEntry reads a record and asserts what the agenda relies on.
func decodeEntry(name string, value []byte) (*agenda.Entry, error) {
	var r storev1.AgendaRecord
	if err := proto.Unmarshal(value, &r); err != nil {
		return nil, err
	}
	e := &agenda.Entry{
		Partition: r.GetPartition(), AllocationID: r.GetAllocationId(), InstanceID: r.GetInstanceId(), TreeID: r.GetTreeId(), Title: r.GetTitle(),
		Period: r.GetPeriod().AsDuration(),
		Wanted: GenerationOf(r.GetWanted()), BangWanted: GenerationOf(r.GetBangWanted()), Changed: GenerationOf(r.GetChanged()),
		Answered: GenerationOf(r.GetAnswered()), Settled: GenerationOf(r.GetSettled()),
		FirstBang: r.GetFirstBang(), LastBang: r.GetLastBang(), Requests: r.GetRequests(), State: agenda.State(r.GetState()),
		Epoch: r.GetEpoch(), Token: r.GetToken(), Attempt: int(r.GetAttempt()), ErrorType: r.GetErrorType(), Result: r.GetResult(),
		LatestRun: r.GetLatestRun(), LatestSeen: wellknown.Time(r.GetLatestSeen()), Ran: wellknown.Time(r.GetRan()), Learnt: wellknown.Time(r.GetLearnt()), Spare: r.GetSpare(),
		Pause: PauseOf(r.GetPause()), Cancelled: GenerationOf(r.GetCancelled()),
	}
	for _, due := range r.GetDue() {
		if c := int(due.GetCause()); c > 0 && c < agenda.Causes {
			e.Due[c] = wellknown.Time(due.GetAt())
		}
	}
	for _, b := range r.GetBangs() {
		e.Bangs = append(e.Bangs, agenda.Bang{
			ID: b.GetBangId(), Number: b.GetNumber(), At: wellknown.Time(b.GetAt()), Generation: GenerationOf(b.GetGeneration()), Targets: int(b.GetTargets()),
			Trace: TraceOf(b.GetTrace()), FanOut: TraceOf(b.GetFanOut()),
		})
	}
	if run := r.GetRun(); run != nil {
		e.Run = agenda.Run{
			ID: run.GetRunId(), Cause: agenda.Cause(run.GetCause()), Due: wellknown.Time(run.GetDue()), Ordered: wellknown.Time(run.GetOrdered()), Handed: int(run.GetHanded()),
			Began: wellknown.Time(run.GetBegan()), Generation: GenerationOf(run.GetGeneration()), Trace: TraceOf(run.GetTrace()),
		}
	}
	switch {
	case e.Partition != name:
		return nil, fmt.Errorf("cannot use the record of %s: it says %s", name, e.Partition)
	case e.State > agenda.Running:
		return nil, fmt.Errorf("cannot use the record of %s: state %d", name, e.State)
	case (e.State == agenda.Waiting) != (e.Run.ID == ""):
		return nil, fmt.Errorf("cannot use the record of %s: state %s with run %q", name, e.State, e.Run.ID)
	case e.Next().IsZero():
		return nil, fmt.Errorf("cannot use the record of %s: it would never be due", name)
	}
	return e, nil
}

// GenerationOf is a generation as a message has it.
func GenerationOf(g *typev1.Generation) agenda.Generation {
	return agenda.Generation{Epoch: g.GetEpoch(), Number: g.GetNumber()}
}

// TraceOf is a trace context as a message has it.
func TraceOf(t *typev1.TraceContext) agenda.Trace {
	return agenda.Trace{Traceparent: t.GetTraceparent(), Tracestate: t.GetTracestate(), Baggage: t.GetBaggage()}
}
