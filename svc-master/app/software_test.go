package app_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

const (
	building  = masterv1.SoftwareState_SOFTWARE_STATE_BUILDING
	failed    = masterv1.SoftwareState_SOFTWARE_STATE_ERROR
	destroyed = masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED
)

// said has the node say something of the release.
func (m *master) said(state masterv1.SoftwareState, more func(*masterv1.ReportSoftwareStateRequest)) {
	m.t.Helper()
	r := &masterv1.ReportSoftwareStateRequest{Computer: "one", SoftwareRelease: release, State: state}
	if more != nil {
		more(r)
	}
	must[*masterv1.ReportSoftwareStateResponse](m)(m.software.ReportSoftwareState(m.t.Context(), r))
}

// listed is the release as it is listed.
func (m *master) listed() *masterv1.Software {
	m.t.Helper()
	all := must[*masterv1.ListSoftwareResponse](m)(m.software.ListSoftware(m.t.Context(), &masterv1.ListSoftwareRequest{Computer: "one"})).GetSoftware()
	if len(all) != 1 {
		m.t.Fatalf("%v is listed", all)
	}
	return all[0]
}

func TestProgressIsListedAndComesBackToNoNode(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		w := m.watch("one")
		m.said(building, nil)
		since := m.listed().GetReportedAt().AsTime()
		w.all()
		time.Sleep(time.Minute)
		m.said(building, func(r *masterv1.ReportSoftwareStateRequest) {
			r.Error, r.Progress = "of the attempt before", &masterv1.InstallProgress{Step: "download", DoneBytes: 10, TotalBytes: 30, Attempt: 2}
		})
		got := m.listed()
		if p := got.GetProgress(); p.GetStep() != "download" || p.GetDoneBytes() != 10 || p.GetTotalBytes() != 30 || p.GetAttempt() != 2 || got.GetError() == "" {
			t.Errorf("it is listed as %v", got)
		}
		if !got.GetReportedAt().AsTime().Equal(since) {
			t.Errorf("it is building since %s, not since %s", got.GetReportedAt().AsTime(), since)
		}
		if _, _, software := w.all(); software {
			t.Error("the node is told of its own progress")
		}
	})
}

func TestAFailedInstallationSaysWhenItIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		report := func(r *masterv1.ReportSoftwareStateRequest) {
			r.Error, r.RetryIn = "cannot install", durationpb.New(time.Minute)
		}
		m.said(failed, report)
		at := m.listed().GetRetryAt().AsTime()
		if wait := time.Until(at); wait < 59*time.Second || wait > time.Minute {
			t.Errorf("it is tried again in %s", wait)
		}
		time.Sleep(time.Second)
		m.said(failed, report) // the answer to the first was lost
		if got := m.listed().GetRetryAt().AsTime(); !got.Equal(at) {
			t.Errorf("the same report moved the next attempt from %s to %s", at, got)
		}
		m.said(building, nil)
		if got := m.listed(); got.GetRetryAt() != nil || got.GetProgress() != nil {
			t.Errorf("while it is tried, %v is listed", got)
		}
	})
}

func TestSupplyingAFailedReleaseAgainIsAnotherSupply(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		supply := func(state masterv1.SoftwareState) uint64 {
			return must[*masterv1.SupplySoftwareResponse](m)(m.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{
				SoftwareRelease: release, Computer: "one", State: state,
			})).GetSoftware().GetSupply()
		}
		first := m.listed().GetSupply()
		if again := supply(0); again != first {
			t.Errorf("the same supply is number %d, then %d", first, again)
		}
		w := m.watch("one")
		m.said(failed, func(r *masterv1.ReportSoftwareStateRequest) { r.Error = "cannot install" })
		w.all()
		if again := supply(0); again != first+1 {
			t.Errorf("the supply after an error is number %d, not %d", again, first+1)
		}
		if _, _, software := w.all(); !software {
			t.Error("the node is not told")
		}
		if got := m.listed(); got.GetReported() != 0 {
			t.Errorf("an attempt that was asked for is listed as %v", got)
		}
		if again := supply(0); again != first+1 {
			t.Errorf("the same supply is number %d", again)
		}
		if gone := supply(destroyed); gone != first+2 {
			t.Errorf("the removal is number %d", gone)
		}
		m.said(destroyed, nil)
		if all := must[*masterv1.ListSoftwareResponse](m)(m.software.ListSoftware(t.Context(), &masterv1.ListSoftwareRequest{Computer: "one"})).GetSoftware(); len(all) != 0 {
			t.Errorf("%v is listed", all)
		}
	})
}

func TestARefusalShowsNoPasswordOfAURL(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		const url = "https://user:s3cret@example.org/hello.tar.gz"
		must[*masterv1.SupplySoftwareResponse](m)(m.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: "one"}))
		must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{Title: "shop", SoftwareRelease: url}))
		_, removal := m.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: "one", State: destroyed})
		_, unknown := m.software.ReportSoftwareState(t.Context(), &masterv1.ReportSoftwareStateRequest{SoftwareRelease: url + "x", Computer: "one", State: building})
		for _, err := range []error{removal, unknown} {
			if err == nil || !strings.Contains(err.Error(), "REDACTED@example.org") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the refusal is %v", err)
			}
		}
	})
}
