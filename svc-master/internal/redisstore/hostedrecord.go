package redisstore

import (
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
)

func wordRecord(w fleet.Word) *storev1.HostWordRecord {
	if w == (fleet.Word{}) {
		return nil
	}
	return &storev1.HostWordRecord{Stamp: GenerationRecord(w.Stamp), Heard: GenerationRecord(w.Heard), Unserved: w.Unserved, Pending: w.Pending, Since: wellknown.Timestamp(w.Since)}
}

func wordOf(r *storev1.HostWordRecord) fleet.Word {
	return fleet.Word{Stamp: GenerationOf(r.GetStamp()), Heard: GenerationOf(r.GetHeard()), Unserved: r.GetUnserved(), Pending: r.GetPending(), Since: wellknown.Time(r.GetSince())}
}

func hostedRecord(h *fleet.Hosted) *storev1.HostedRecord {
	return &storev1.HostedRecord{
		SharedId: h.SharedID, HostId: h.HostID, Title: h.Title, SoftwareRelease: h.Release, SoftwareType: h.Type, Parameters: h.Parameters,
		Generation: GenerationRecord(h.Generation), ChangedAt: wellknown.Timestamp(h.ChangedAt), Wanted: GenerationRecord(h.Wanted), ConnectionParameters: h.Connection,
		Once: h.Once, Stamp: GenerationRecord(h.Stamp), Publishing: publishingRecord(h.Publishing), PublishedIn: h.PublishedIn,
	}
}

func hostedOf(r *storev1.HostedRecord) *fleet.Hosted {
	return &fleet.Hosted{
		SharedID: r.GetSharedId(), HostID: r.GetHostId(), Title: r.GetTitle(), Release: r.GetSoftwareRelease(), Type: r.GetSoftwareType(), Parameters: r.GetParameters(),
		Generation: GenerationOf(r.GetGeneration()), ChangedAt: wellknown.Time(r.GetChangedAt()), Wanted: GenerationOf(r.GetWanted()), Connection: r.GetConnectionParameters(),
		Once: r.GetOnce(), Stamp: GenerationOf(r.GetStamp()), Publishing: publishingOf(r.GetPublishing()), PublishedIn: r.GetPublishedIn(),
	}
}
