package command

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
)

// shelf answers as svc-master would for the software of two computers.
type shelf struct {
	masterv1connect.UnimplementedSoftwareServiceHandler
	mu sync.Mutex
	// states are what is reported of the release on laptop, one after the other; the last one stays.
	states []*masterv1.Software
}

const secretURL = "https://user:s3cret@example.org/hello.tar.gz?signature=s3cret"

func (s *shelf) ListSoftware(_ context.Context, r *masterv1.ListSoftwareRequest) (*masterv1.ListSoftwareResponse, error) {
	if r.GetComputer() != "laptop" || len(s.states) == 0 {
		return &masterv1.ListSoftwareResponse{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.states[0]
	if len(s.states) > 1 {
		s.states = s.states[1:]
	}
	now.SoftwareRelease, now.Computer, now.Requested = secretURL, "laptop", masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
	return &masterv1.ListSoftwareResponse{Software: []*masterv1.Software{now}}, nil
}

func (*shelf) SupplySoftware(_ context.Context, r *masterv1.SupplySoftwareRequest) (*masterv1.SupplySoftwareResponse, error) {
	return &masterv1.SupplySoftwareResponse{Software: &masterv1.Software{SoftwareRelease: r.GetSoftwareRelease(), Computer: r.GetComputer()}}, nil
}

func download(done, total uint64) *masterv1.Software {
	return &masterv1.Software{
		Reported: masterv1.SoftwareState_SOFTWARE_STATE_BUILDING, ReportedAt: timestamppb.New(time.Now().Add(-90 * time.Second)),
		Progress: &masterv1.InstallProgress{Step: "download", DoneBytes: done, TotalBytes: total, Attempt: 2},
	}
}

func broken() *masterv1.Software {
	return &masterv1.Software{
		Reported: masterv1.SoftwareState_SOFTWARE_STATE_ERROR, Error: "cannot install x: buildout: exit status 1: While:\n  Installing.\nError: Missing option: said:output",
		RetryAt: timestamppb.New(time.Now().Add(time.Minute)), Progress: &masterv1.InstallProgress{Step: "build", Attempt: 3},
	}
}

func TestSoftwareIsListedWithItsProgressAndWithoutPasswords(t *testing.T) {
	f := serve(t)
	f.shelf.states = []*masterv1.Software{download(3<<20, 12<<20)}
	_, out, _ := run(t, "software")
	for _, want := range []string{"https://REDACTED@example.org/hello.tar.gz?REDACTED", "laptop", "available", "building", "1 min 30 s ago", "download 3.0 of 12.0 MiB, 25 %, attempt 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	f.shelf.states = []*masterv1.Software{broken()}
	code, out, errOut := run(t, "software", "--computer", "laptop")
	if code != exitOK || !strings.Contains(out, "again in ") || !strings.Contains(out, "attempt 3") || !strings.Contains(out, "… Error: Missing option: said:output") || strings.Contains(out, "s3cret") {
		t.Errorf("exit %d, %s:\n%s", code, errOut, out)
	}
	// The row names the release, so that there is room for why it is not installed.
	f.shelf.states[0].Error = "cannot install https://REDACTED@example.org/hello.tar.gz?REDACTED: the server does not answer: tls: failed to verify certificate: unknown authority"
	if _, out, _ = run(t, "software"); !strings.Contains(out, "  the server does not answer: tls: failed to verify certificate: unknown authority") {
		t.Errorf("the reason is not in\n%s", out)
	}
	if code, out, _ := run(t, "software", "-o", "json"); code != exitOK || !strings.Contains(out, `"reported": "SOFTWARE_STATE_ERROR"`) {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestASupplyThatIsWaitedForShowsProgressAndEndsWithTheState(t *testing.T) {
	f := serve(t)
	done := &masterv1.Software{Reported: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE}
	f.shelf.states = []*masterv1.Software{{}, download(0, 0), download(1<<20, 2<<20), download(2<<20, 2<<20), done}
	code, out, errOut := run(t, "supply", secretURL, "laptop", "--wait", "1m")
	if code != exitOK || !strings.Contains(out, "is available on laptop") || strings.Contains(out+errOut, "s3cret") {
		t.Errorf("exit %d:\n%s%s", code, out, errOut)
	}
	if !strings.Contains(errOut, "download 1.0 of 2.0 MiB, 50 %") {
		t.Errorf("the progress was\n%s", errOut)
	}
	f.shelf.states = []*masterv1.Software{download(1, 2), broken()}
	code, _, errOut = run(t, "supply", secretURL, "laptop", "--wait", "1m")
	if code != exitFailed || !strings.Contains(errOut, "Missing option: said:output") || !strings.Contains(errOut, "the node tries again in") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	f.shelf.states = []*masterv1.Software{download(1, 2)}
	code, _, errOut = run(t, "supply", secretURL, "laptop", "--wait", "50ms")
	if code != exitFailed || !strings.Contains(errOut, "is building on laptop: waited 50 ms") {
		t.Errorf("exit %d: %s", code, errOut)
	}
}

func TestAWatchedListIsWrittenWhenItChanges(t *testing.T) {
	f := serve(t)
	same := download(1<<20, 2<<20)
	f.shelf.states = []*masterv1.Software{same, same, {Reported: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{see: func(text string) {
		if strings.Contains(text, "available  available") {
			cancel()
		}
	}}
	var errOut strings.Builder
	if code := Run(ctx, []string{"software", "--computer", "laptop", "-w"}, out, &errOut); code != exitOK {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
	if n := strings.Count(out.all.String(), "building"); n != 1 {
		t.Errorf("what did not change is written %d times:\n%s", n, out.all.String())
	}
}

// watched is an output that is looked at as it is written.
type watched struct {
	all strings.Builder
	see func(text string)
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.all.Write(p)
	w.see(strings.Join(strings.Fields(w.all.String()), "  "))
	return n, err
}
