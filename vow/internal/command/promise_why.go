package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// teller shows what promises say as they come.
type teller struct {
	s   *session
	run *promiseRun
	// anomaly is the first one that bangs.
	anomaly                   *nodev1.SensePromisesResponse
	passed, failed, unchecked int
}

func (t *teller) tell(p *nodev1.SensePromisesResponse) error {
	switch {
	case p.GetFailed():
		t.failed++
	case p.GetSkipped() != "":
		t.unchecked++
	default:
		t.passed++
	}
	if p.GetBang() == nodev1.BangDue_BANG_DUE_BANG && t.anomaly == nil {
		t.anomaly = p
	}
	if t.s.json() {
		return t.s.message(p)
	}
	return t.draw(p)
}

// end counts what was told; its error is that promises failed, which was said.
func (t *teller) end() error {
	if !t.s.json() {
		fmt.Fprintf(t.s.out, "%d passed, %d failed", t.passed, t.failed)
		if t.unchecked > 0 {
			fmt.Fprintf(t.s.out, ", %d not sensed", t.unchecked)
		}
		fmt.Fprintln(t.s.out)
	}
	if t.failed > 0 {
		return errExit{exitFailed}
	}
	return nil
}

func (t *teller) draw(p *nodev1.SensePromisesResponse) error {
	out := t.s.out
	state := "passed"
	switch {
	case p.GetFailed():
		state = "FAILED"
	case p.GetSkipped() != "":
		state = "-"
	case p.GetVerdict().GetMute() != nil:
		state = "muted"
	}
	fmt.Fprintf(out, "%-6s  %s", state, p.GetPromise())
	if p.GetSkipped() != "" {
		fmt.Fprintf(out, "  not sensed: %s", p.GetSkipped())
		if p.GetFailed() {
			fmt.Fprintf(out, "; it failed %s: %s", age(p.GetVerdict().GetSince(), time.Now()), human.OneLine(p.GetVerdict().GetMessage(), 200))
		}
		fmt.Fprintln(out)
		return nil
	}
	fmt.Fprintf(out, "  (%s, %s)  %s\n", p.GetFile(), human.Span(time.Duration(p.GetGroup().GetDurationSeconds()*float64(time.Second))), human.OneLine(p.GetVerdict().GetMessage(), 200))
	if p.GetProblem() != "" {
		fmt.Fprintf(out, "        besides: %s\n", p.GetProblem())
	}
	if m := p.GetVerdict().GetMute(); m != nil {
		fmt.Fprintf(out, "        muted until %s by %s: %s\n", clock(m.GetUntil()), m.GetBy(), m.GetReason())
	}
	newestFailed := len(p.GetWindow()) > 0 && p.GetWindow()[len(p.GetWindow())-1].GetFailed()
	if !t.run.console && !p.GetFailed() && !newestFailed {
		return nil
	}
	if t.run.console {
		for _, e := range p.GetGroup().GetEntries() {
			fmt.Fprintf(out, "        %-8s %s\n", human.Word(e.GetLevel(), "LOG_LEVEL_"), strings.ReplaceAll(strings.TrimRight(e.GetMessage(), "\n"), "\n", "\n                 "))
		}
	}
	rows := [][]string{account("test", p.GetTest()), account("anomaly", p.GetAnomaly())}
	for i, w := range p.GetWindow() {
		label, word := "", "ok"
		if i == 0 {
			label = "window"
		}
		if w.GetFailed() {
			word = "failed"
		}
		rows = append(rows, []string{"        " + label, word, w.GetAt().AsTime().Local().Format(time.DateTime) + "  " + human.OneLine(w.GetMessage(), 80)}) //nolint:gosmopolitan // people read their own clock
	}
	if err := table(out, rows); err != nil {
		return err
	}
	if p.GetBang() == nodev1.BangDue_BANG_DUE_NOT_ALLOWED {
		fmt.Fprintln(out, "        it may not bang")
	} else if p.GetBang() == nodev1.BangDue_BANG_DUE_WITHHELD && t.run.Dry {
		fmt.Fprintln(out, "        a dry run does not bang")
	}
	return nil
}

// account says how a test or an anomaly detector came to what it says.
func account(name string, a *nodev1.VerdictAccount) []string {
	verdict := "ok"
	if a.GetFails() {
		verdict = "failed"
	}
	r := a.GetRule()
	why := fmt.Sprintf("fails when the newest group failed, and %d of the %d newest did", r.GetFailureAmount(), r.GetResultCount())
	if r.GetResultCount() == 1 && r.GetFailureAmount() == 1 {
		why = "fails when the newest group failed"
	}
	if n := r.GetLatestMinute(); n > 0 {
		why += fmt.Sprintf(" within %d min", n)
	}
	why += fmt.Sprintf(": %d of %d did", a.GetFailed(), a.GetLooked())
	switch {
	case a.GetOff():
		verdict, why = "none", "the promise has none"
	case a.GetOwn():
		why = "the promise's own " + name + "() says so"
	}
	return []string{"        " + name, verdict, why}
}

// bang tells svc-master of an anomaly that was found without a node. Others of the same run are in the same partition: one bang
// makes all of it run again.
func (r *promiseRun) bang(ctx context.Context, s *session, p *nodev1.SensePromisesResponse) error {
	if r.masterURL == "" || r.id == "" {
		if !s.json() {
			fmt.Fprintf(s.out, "nobody is told of %s: that needs --master-url and --computer-id\n", p.GetPromise())
		}
		return nil
	}
	cannot := func(err error) error { return fmt.Errorf("cannot bang for promise %s: %w", p.GetPromise(), err) }
	c, err := rpc.NewClient(rpc.Target{Address: r.masterURL}, rpc.ClientSettings{})
	if err != nil {
		return cannot(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	feed := masterv1connect.NewFeedServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	found, err := feed.ListAllocations(ctx, &masterv1.ListAllocationsRequest{Computers: []string{r.id}})
	if err != nil {
		return cannot(err)
	}
	for _, a := range found.GetAllocations() {
		if a.GetPartition() != r.Partition || a.GetComputer() != r.id {
			continue
		}
		if a.GetLatest().GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			if !s.json() {
				fmt.Fprintf(s.out, "%s does not bang: the latest run of %s is no success, so it is tried again anyway\n", p.GetPromise(), r.Partition)
			}
			return nil
		}
		request := &masterv1.BangRequest{
			Target: &masterv1.BangRequest_AllocationId{AllocationId: a.GetAllocationId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROMISE,
			Source: p.GetPromise(), Message: p.GetVerdict().GetMessage(), LastSuccessRunId: a.GetLatest().GetRunId(), RunInProgress: a.GetRun().GetRunId(),
			NoticedAt: p.GetGroup().GetAt(),
		}
		var response *masterv1.BangResponse
		err := rpc.Retry(ctx, "bang", func(ctx context.Context) error {
			var err error
			response, err = masterv1connect.NewBangServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).Bang(ctx, request)
			return err
		})
		if err != nil {
			return cannot(err)
		}
		if !s.json() {
			for _, b := range response.GetResults() {
				fmt.Fprintf(s.out, "%s bangs: %s %s\n", p.GetPromise(), b.GetBangId(), human.Word(b.GetOutcome(), "BANG_OUTCOME_"))
			}
		}
		return nil
	}
	return cannot(fmt.Errorf("svc-master knows no partition %q of computer %q that holds something", r.Partition, r.id))
}
