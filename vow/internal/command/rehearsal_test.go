package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Bang rehearses only.
func (*fake) Bang(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	if !r.GetDryRun() {
		panic("a dry run banged")
	}
	return &masterv1.BangResponse{Results: []*masterv1.BangResult{{
		BangId: "t0123456789ab.b7", Outcome: masterv1.BangOutcome_BANG_OUTCOME_REFUSED, Reason: "the quota is used up", Rehearsal: &masterv1.Rehearsal{},
	}}}, nil
}

// A dry run is asked for as one, and says where, why not elsewhere and what would run.
func TestADryRunIsTold(t *testing.T) {
	f := serve(t)
	code, out, errOut := run(t, "request", "hello", "file:///r", "--dry-run")
	if r := <-f.requested; code != exitOK || !r.GetDryRun() || !strings.Contains(out, "nothing was written") {
		t.Errorf("exit %d, dry run %v: %s%s", code, r.GetDryRun(), out, errOut)
	}
	code, out, errOut = run(t, "bang", "hello", "--dry-run")
	if code != exitOK || !strings.Contains(out, "t0123456789ab.b7 would be refused, the quota is used up") || !strings.Contains(out, "nothing would change") {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	for _, command := range [][]string{{"request", "hello", "file:///r"}, {"bang", "hello"}} {
		if code, _, errOut := run(t, append(command, "--dry-run", "--wait", "1s")...); code != exitUsage || !strings.Contains(errOut, "cannot --wait") {
			t.Errorf("%v: exit %d: %s", command, code, errOut)
		}
	}

	var told strings.Builder
	printRehearsal(&told, &masterv1.Rehearsal{
		Entries: []*masterv1.AuditEntry{{Kind: masterv1.AuditKind_AUDIT_KIND_CHANGED, Title: "web", Changes: []string{"parameter port"}}},
		Places: []*masterv1.RehearsedPlace{
			{Title: "web", Computer: "one", Partition: "slappart3", Elsewhere: []*masterv1.RehearsedElsewhere{{Computer: "two", Why: "two is closed"}}, ElsewhereMore: 2},
			{Title: "db", Reason: "no computer is registered"},
		},
		Runs: []*masterv1.RehearsedRun{{
			Title: "web", Computer: "one", Partition: "slappart3", Cause: typev1.Cause_CAUSE_CHANGED, Delay: durationpb.New(2 * time.Second),
			State: typev1.RequestedState_REQUESTED_STATE_STOPPED,
		}},
		RunsTotal: 3,
	})
	want := `  changed web: parameter port
  web would be put in slappart3 of one
    not on two: two is closed
    nor on 2 more computers
  db would get no partition: no computer is registered
  web would run on one/slappart3 after 2 s, cause changed, to be stopped
  and 2 more partitions would run
dry run: nothing was written
`
	if told.String() != want {
		t.Errorf("told is\n%s\nwant\n%s", told.String(), want)
	}
}
