package redisstore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
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
		Paused: h.Pause != agenda.Paused{}, PauseReason: h.Pause.Reason, PausedUntil: stamp(h.Pause.Until), PausedBy: h.Pause.By, PausedAt: stamp(h.Pause.At),
	})
	return string(b), err
}

// headPause is the pause of a computer. One that was stored before pauses had an end ends after the longest.
func headPause(h *storev1.AgendaHead) agenda.Paused {
	if !h.GetPaused() {
		return agenda.Paused{}
	}
	p := agenda.Paused{Until: timeOf(h.GetPausedUntil()), At: timeOf(h.GetPausedAt()), Reason: h.GetPauseReason(), By: h.GetPausedBy()}
	if p.Until.IsZero() {
		p.Until = time.Now().Add(agenda.MaxPause)
	}
	return p
}

func pauseOf(p *typev1.Pause) agenda.Paused {
	return agenda.Paused{Generation: generationOf(p.GetGeneration()), Until: timeOf(p.GetUntil()), At: timeOf(p.GetAt()), Reason: p.GetReason(), By: p.GetBy()}
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
		Wanted: generationOf(r.GetWanted()), BangWanted: generationOf(r.GetBangWanted()), Changed: generationOf(r.GetChanged()),
		Answered: generationOf(r.GetAnswered()), Settled: generationOf(r.GetSettled()),
		FirstBang: r.GetFirstBang(), LastBang: r.GetLastBang(), Requests: r.GetRequests(), State: agenda.State(r.GetState()),
		Epoch: r.GetEpoch(), Token: r.GetToken(), Attempt: int(r.GetAttempt()), ErrorType: r.GetErrorType(), Result: r.GetResult(),
		LatestRun: r.GetLatestRun(), LatestSeen: timeOf(r.GetLatestSeen()), Ran: timeOf(r.GetRan()), Learnt: timeOf(r.GetLearnt()), Spare: r.GetSpare(),
		Pause: pauseOf(r.GetPause()), Cancelled: generationOf(r.GetCancelled()),
	}
	for _, due := range r.GetDue() {
		if c := int(due.GetCause()); c > 0 && c < agenda.Causes {
			e.Due[c] = timeOf(due.GetAt())
		}
	}
	for _, b := range r.GetBangs() {
		e.Bangs = append(e.Bangs, agenda.Bang{
			ID: b.GetBangId(), Number: b.GetNumber(), At: timeOf(b.GetAt()), Generation: generationOf(b.GetGeneration()), Targets: int(b.GetTargets()),
			Trace: traceOf(b.GetTrace()), FanOut: traceOf(b.GetFanOut()),
		})
	}
	if run := r.GetRun(); run != nil {
		e.Run = agenda.Run{
			ID: run.GetRunId(), Cause: agenda.Cause(run.GetCause()), Due: timeOf(run.GetDue()), Ordered: timeOf(run.GetOrdered()), Handed: int(run.GetHanded()),
			Began: timeOf(run.GetBegan()), Generation: generationOf(run.GetGeneration()), Trace: traceOf(run.GetTrace()),
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

func generationOf(g *typev1.Generation) agenda.Generation {
	return agenda.Generation{Epoch: g.GetEpoch(), Number: g.GetNumber()}
}

func traceOf(t *typev1.TraceContext) agenda.Trace {
	return agenda.Trace{Parent: t.GetTraceparent(), State: t.GetTracestate(), Baggage: t.GetBaggage()}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
