package api

import (
	"context"
	"math"
	"slices"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// usagePage is how many records end a page: with the computer that reaches it.
const usagePage = 5000

// ReportUsage adds samples.
func (a *API) ReportUsage(ctx context.Context, req *masterv1.ReportUsageRequest) (*masterv1.ReportUsageResponse, error) {
	if _, err := a.Store.Computer(ctx, req.GetComputer()); err != nil {
		return nil, coded(err)
	}
	a.contact(req.GetComputer())
	for _, sample := range req.GetSamples() {
		for resource, quantity := range sample.GetConsumed() {
			if math.IsNaN(quantity) || math.IsInf(quantity, 0) {
				return nil, invalid("cannot add the usage of %q: consumed: the quantity of %q is no number", sample.GetAllocationId(), resource)
			}
		}
	}
	added, err := a.Store.AddUsage(ctx, req.GetComputer(), req.GetSamples(), time.Now())
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.ReportUsageResponse{Added: added.Added, Known: added.Known, Ignored: added.Ignored}, nil
}

// ListUsage reads what was consumed.
func (a *API) ListUsage(ctx context.Context, req *masterv1.ListUsageRequest) (*masterv1.ListUsageResponse, error) {
	for _, day := range []string{req.GetFirstDay(), req.GetLastDay()} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return nil, invalid("cannot list usage: %q is no day", day)
		}
	}
	names := []string{req.GetComputer()}
	if req.GetComputer() == "" {
		var err error
		if names, err = a.Store.ComputerNames(ctx); err != nil {
			return nil, coded(err)
		}
		at, found := slices.BinarySearch(names, req.GetPageToken())
		if found {
			at++
		}
		names = names[at:]
	} else if _, err := a.Store.Computer(ctx, req.GetComputer()); err != nil {
		return nil, coded(err)
	}
	res := &masterv1.ListUsageResponse{}
	for i, name := range names {
		all, err := a.Store.Usage(ctx, name, req.GetFirstDay(), req.GetLastDay())
		if err != nil {
			return nil, coded(err)
		}
		for _, u := range all {
			if req.GetTreeId() == "" || fleet.TreeID(u.AllocationID) == req.GetTreeId() {
				res.Usage = append(res.Usage, usage(name, u))
			}
		}
		if len(res.GetUsage()) >= usagePage && i+1 < len(names) {
			res.NextPageToken = name
			break
		}
	}
	return res, nil
}

func usage(computer string, u redisstore.UsageOf) *masterv1.Usage {
	r := u.Record
	out := &masterv1.Usage{
		Computer: computer, Day: u.Day, AllocationId: u.AllocationID, Partition: r.GetPartition(), Seconds: r.GetSeconds(), CpuSeconds: r.GetCpuSeconds(),
		MemoryPeakBytes: r.GetMemoryPeakBytes(), DiskBytes: r.GetDiskBytes(), ProcessesPeak: r.GetProcessesPeak(), Consumed: r.GetConsumed(),
	}
	if r.GetSeconds() > 0 {
		out.MemoryBytes = uint64(r.GetMemoryByteSeconds() / r.GetSeconds())
	}
	return out
}
