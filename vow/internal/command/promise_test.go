package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

const anAllocation = "t0123456789ab.a1"

// fakePromise is a svc-promise with one promise, muted, that fails every other hour.
type fakePromise struct {
	promisev1connect.UnimplementedPromiseServiceHandler
	muted chan *promisev1.MutePromiseRequest
	asked chan *promisev1.HistoryRequest
}

func (*fakePromise) status() *promisev1.PromiseStatus {
	value := 42.5
	return &promisev1.PromiseStatus{
		Verdict: &typev1.Verdict{
			Promise: "disk", TestFailed: true, Anomaly: true, Message: "full\nreally", Since: timestamppb.New(time.Now().Add(-time.Hour)),
			Mute: &typev1.Mute{Until: timestamppb.New(time.Now().Add(time.Hour)), Reason: "on order", By: "me"},
		},
		Kind: typev1.PromiseKind_PROMISE_KIND_BUILTIN, At: timestamppb.Now(), Value: &value, Next: timestamppb.New(time.Now().Add(90 * time.Second)), First: timestamppb.Now(),
		Passed: 3, Failed: 4, Crimes: []string{"sensed 12 times"},
	}
}

func (f *fakePromise) ListPromises(_ context.Context, r *promisev1.ListPromisesRequest) (*promisev1.ListPromisesResponse, error) {
	if r.GetAllocationId() != anAllocation {
		return &promisev1.ListPromisesResponse{}, nil
	}
	return &promisev1.ListPromisesResponse{Promises: []*promisev1.PromiseStatus{f.status()}}, nil
}

func (f *fakePromise) History(_ context.Context, r *promisev1.HistoryRequest) (*promisev1.HistoryResponse, error) {
	f.asked <- r
	h := &promisev1.HistoryResponse{Status: f.status(), Days: []*promisev1.HistoryDay{{Day: timestamppb.New(time.Unix(0, 0)), Passed: 3, Failed: 4}}}
	for at, i := r.GetFrom().AsTime(), 0; at.Before(r.GetUntil().AsTime()); at, i = at.Add(time.Hour), i+1 {
		value := float64(i)
		h.Points = append(h.Points, &promisev1.HistoryPoint{At: timestamppb.New(at), WidthSeconds: 3600, Value: &value, Min: &value, Max: &value, Count: 30, FailedCount: uint32(i % 2)})
	}
	return h, nil
}

func (f *fakePromise) MutePromise(_ context.Context, r *promisev1.MutePromiseRequest) (*promisev1.MutePromiseResponse, error) {
	f.muted <- r
	return &promisev1.MutePromiseResponse{Mute: &typev1.Mute{Until: r.GetUntil()}}, nil
}

const aRelease = "file:///opt/hello"

func (*fakePromise) ListCrimes(_ context.Context, r *promisev1.ListCrimesRequest) (*promisev1.ListCrimesResponse, error) {
	if of := r.GetSoftwareRelease(); of != "" && of != aRelease {
		return &promisev1.ListCrimesResponse{}, nil
	}
	return &promisev1.ListCrimesResponse{Crimes: []*promisev1.PromiseCrime{{
		Crime: promisev1.Crime_CRIME_NEVER_PASSED, AllocationId: anAllocation, Promise: "disk", Computer: "laptop", Partition: "slappart0", Since: timestamppb.Now(), Evidence: "failed all 4 times",
		SoftwareRelease: aRelease,
	}}, Releases: []*typev1.ReleaseCrime{{
		SoftwareRelease: aRelease, Crime: typev1.MonitoringCrime_MONITORING_CRIME_NEVER_PASSED, Count: 1, Partitions: 1, Since: timestamppb.Now(),
	}}}, nil
}

func (*fake) ListRunCrimes(_ context.Context, r *masterv1.ListRunCrimesRequest) (*masterv1.ListRunCrimesResponse, error) {
	if of := r.GetSoftwareRelease(); of != "" && of != aRelease {
		return &masterv1.ListRunCrimesResponse{}, nil
	}
	return &masterv1.ListRunCrimesResponse{Crimes: []*masterv1.RunCrime{{
		Crime: typev1.MonitoringCrime_MONITORING_CRIME_SLEEPLESS, Title: "hello", AllocationId: anAllocation, Computer: "laptop", Partition: "slappart0", SoftwareRelease: aRelease,
		Since: timestamppb.Now(), Evidence: "hello (laptop/slappart0) runs without ever sleeping",
	}}, Releases: []*typev1.ReleaseCrime{{
		SoftwareRelease: aRelease, Crime: typev1.MonitoringCrime_MONITORING_CRIME_SLEEPLESS, Count: 1, Partitions: 1, Since: timestamppb.Now(),
	}}}, nil
}

func servePromise(t *testing.T) *fakePromise {
	t.Helper()
	serve(t)
	f := &fakePromise{muted: make(chan *promisev1.MutePromiseRequest, 1), asked: make(chan *promisev1.HistoryRequest, 9)}
	t.Setenv("VOW_PROMISE_ADDRESS", rpctest.Loopback(t, func(s *rpc.Server) { s.Handle(promisev1connect.NewPromiseServiceHandler(f, s.HandlerOptions()...)) }))
	return f
}

func TestPromisesAreListedWithMutesAndCrimes(t *testing.T) {
	servePromise(t)
	code, out, errOut := run(t, "promise", "list", anAllocation)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"disk     builtin  failed, anomaly, muted", "42.5   full really", "in 1 min 2", "disk is muted until", "by me: on order", "disk commits a monitoring crime: sensed 12 times"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, verb := range []string{"history", "mute", "unmute"} {
		if _, out, _ := run(t, "__complete", "promise", verb, anAllocation, ""); !strings.HasPrefix(out, "disk\n") {
			t.Errorf("promise %s offers %q, want the promises of the instance", verb, out)
		}
	}
	if code, _, errOut := run(t, "promise", "list", "hello/nosuch"); code != exitFailed || !strings.Contains(errOut, `cannot find instance "hello/nosuch": tree hello has`) {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestHistoryIsDrawnOrWrittenForASpreadsheet(t *testing.T) {
	f := servePromise(t)
	t.Setenv("COLUMNS", "86")
	code, out, errOut := run(t, "promise", "history", anAllocation, "disk", "--from", "3d")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	if r := <-f.asked; r.GetUntil().AsTime().Sub(r.GetFrom().AsTime()) != 72*time.Hour {
		t.Errorf("asked for %v", r)
	}
	lines := strings.Split(out, "\n")
	verdicts := ""
	for _, line := range lines {
		if label, found := strings.CutPrefix(strings.TrimSpace(line), "verdict "); found && verdicts == "" {
			verdicts = label
		}
	}
	if !strings.Contains(out, "          71 ") || !strings.Contains(out, "           0 ▁") || len([]rune(verdicts)) != 72 || !strings.HasPrefix(verdicts, "·x·x") {
		t.Errorf("verdicts %q in\n%s", verdicts, out)
	}
	if code, out, errOut := run(t, "promise", "history", anAllocation, "disk", "--from", "2h", "-o", "csv"); code != exitOK || !strings.Contains(out, "at,width_seconds,value") || strings.Count(out, "\n") != 3 {
		t.Errorf("exit %d, %s, csv\n%s", code, errOut, out)
	}
	if code, _, errOut := run(t, "promise", "list", anAllocation, "-o", "csv"); code != exitUsage || !strings.Contains(errOut, "want text or json") {
		t.Errorf("exit %d, %q: only history can be written as csv", code, errOut)
	}
	if code, _, errOut := run(t, "promise", "history", anAllocation, "disk", "--from", "yesterday"); code != exitUsage || !strings.Contains(errOut, `--from "yesterday"`) {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestAMuteNeedsADateAndAReason(t *testing.T) {
	f := servePromise(t)
	if code, _, errOut := run(t, "promise", "mute", anAllocation, "disk", "--until", "7d"); code != exitUsage || !strings.Contains(errOut, "--reason") {
		t.Errorf("exit %d, %q", code, errOut)
	}
	code, out, errOut := run(t, "promise", "mute", anAllocation, "disk", "--until", "7d", "--reason", "on order")
	if code != exitOK || !strings.Contains(out, "disk of "+anAllocation+" is muted until") {
		t.Fatalf("exit %d, %q, %s", code, out, errOut)
	}
	if r := <-f.muted; r.GetReason() != "on order" || r.GetBy() == "" || time.Until(r.GetUntil().AsTime()).Round(time.Hour) != 7*24*time.Hour {
		t.Errorf("asked for %v", r)
	}
}

func TestCrimesComeWithTheirEvidence(t *testing.T) {
	servePromise(t)
	code, out, errOut := run(t, "crimes")
	if code != exitOK {
		t.Fatalf("exit %d, %s", code, errOut)
	}
	for _, want := range []string{
		"laptop/slappart0  " + anAllocation + "  disk     never passed", "failed all 4 times",
		"laptop/slappart0  " + anAllocation + "  hello     sleepless", "hello (laptop/slappart0) runs without ever sleeping",
		"file:///opt/hello  never passed  1      1", "file:///opt/hello  sleepless     1      1",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	code, out, errOut = run(t, "crimes", "--release", "file:///opt/other", "-o", "json")
	if code != exitOK || strings.Join(strings.Fields(out), "") != `{"releases":[],"runs":[],"promises":[]}` {
		t.Errorf("exit %d, %s\n%s", code, errOut, out)
	}
}
