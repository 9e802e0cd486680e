//go:build soak

package real

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/telemetry/story"
)

const (
	// tracedBangs is how many bangs it makes by itself; `make soak-traces` makes 10,000.
	tracedBangs = 240
	// tracedEvery is the pause between two of them, on treesTraced trees in turn: most are prompt, some join and fold.
	tracedEvery = 50 * time.Millisecond
	treesTraced = 3
	// tracedKill is how often something is killed.
	tracedKill = 1500 * time.Millisecond
	// bangsKept is how many bangs of a tree svc-master keeps; the half of them is left to those that a kill makes.
	bangsKept = 1000
	// unsent is how long an ended span may wait in its process: the delay of a batch, 100 ms here, and the export on a busy machine.
	unsent = 1500 * time.Millisecond
	// onItsWay is how long a call may wait between two processes on a busy machine, and how long it takes to find the agent that is to be killed.
	onItsWay = time.Second
	// lives is the longest time that a span is open above one that has ended: a run of a partition with its sensing, an order that is handed over again.
	lives = 20 * time.Second
)

// TestNoTraceHasAnOrphanOrABrokenLinkThatNoKillExplains bangs while services are killed with -9, assembles all spans that reached an OTLP receiver, and attributes each span whose parent, or the end of
// whose link, is missing to the kill of the process that had it.
func TestNoTraceHasAnOrphanOrABrokenLinkThatNoKillExplains(t *testing.T) {
	bangs := tracedBangs
	if _, err := fmt.Sscan(os.Getenv("VOW_BANGS"), &bangs); err != nil && os.Getenv("VOW_BANGS") != "" {
		t.Fatalf("VOW_BANGS=%q: %v", os.Getenv("VOW_BANGS"), err)
	}
	receiver := story.NewReceiver()
	defer receiver.Close()
	s := beginWith(t, wiring{partitions: 3 * treesTraced, env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL, "OTEL_TRACES_EXPORTER=otlp", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none",
		"OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_BSP_MAX_QUEUE_SIZE=65536",
	}})
	release := s.releaseWithQuota(0)
	var trees []string
	for n := range treesTraced {
		trees = append(trees, s.request(release, fmt.Sprint("hello", n)).GetTreeId())
	}
	killed := make(chan []killing, 1)
	stop := make(chan struct{})
	go func() { killed <- s.killInTurn(tracedKill, stop) }()
	f := forest{recorded: map[string]time.Time{}}
	tick := time.NewTicker(tracedEvery)
	defer tick.Stop()
	for n := range bangs {
		s.bangSurely(tick, trees[n%len(trees)], fmt.Sprint("traced-", n))
		if (n+1)%(treesTraced*bangsKept/2) == 0 || n == bangs-1 {
			for _, tree := range trees {
				s.record(tree, f.recorded)
			}
		}
	}
	close(stop)
	f.kills = <-killed
	for _, tree := range trees {
		await(t, "every bang is answered", func() bool {
			response, err := s.trees.GetTree(t.Context(), &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: tree}})
			return err == nil && response.GetTree().GetConvergenceId() == ""
		})
	}
	s.stop()

	f.plant(receiver.Spans())
	attributed, wrong := f.judge()
	roots, links := f.count()
	t.Logf("%d bangs, %d kills; %d spans of %d traces, %d links; %d orphans and broken links attributed to a kill, %d not", bangs, len(f.kills), len(f.spans), roots, links, attributed, len(wrong))
	for n, w := range wrong {
		if n < 20 {
			t.Error(w)
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d in all", len(wrong))
	}
	if len(f.kills) < 4 || len(f.banged) < bangs/2 || len(f.spans) < 10*bangs/4 || links == 0 || attributed > len(f.spans)/10 {
		t.Errorf("the test says nothing: %d kills, %d bangs and %d spans seen, %d links, %d attributed", len(f.kills), len(f.banged), len(f.spans), links, attributed)
	}
}

// bangSurely bangs a tree, again with the same id until it is acknowledged: svc-master may be down for a moment.
func (s *suite) bangSurely(tick *time.Ticker, tree, id string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		<-tick.C
		_, err := s.bangs.Bang(s.t.Context(), &masterv1.BangRequest{
			RequestId: id, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "test", Target: &masterv1.BangRequest_TreeId{TreeId: tree},
		})
		if err == nil {
			return
		}
		if !rpc.IsRetryable(err) || time.Now().After(deadline) {
			s.t.Fatalf("bang %s: %v", id, err)
		}
	}
}

// record adds when the kept bangs of a tree were recorded, by svc-master's clock, which is this machine's.
func (s *suite) record(tree string, at map[string]time.Time) {
	s.t.Helper()
	await(s.t, "svc-master tells its bangs", func() bool {
		response, err := s.bangs.ListBangs(s.t.Context(), &masterv1.ListBangsRequest{TreeId: tree, PageSize: bangsKept})
		for _, b := range response.GetBangs() {
			at[b.GetBangId()] = b.GetAt().AsTime()
		}
		return err == nil
	})
}

// forest is all spans of a time in which services were killed.
type forest struct {
	spans map[string]story.Span // by trace and id
	kills []killing
	// last is when a process was last heard of, by process.
	last map[string]time.Time
	// of is a bang of each trace, banged the first sign of a bang, recorded when svc-master wrote it down.
	of               map[string]string
	banged, recorded map[string]time.Time
}

func (f *forest) plant(spans []story.Span) {
	f.spans, f.last, f.of, f.banged = map[string]story.Span{}, map[string]time.Time{}, map[string]string{}, map[string]time.Time{}
	for _, s := range spans {
		f.spans[s.Trace+s.ID] = s
		if s.End.After(f.last[s.Process]) {
			f.last[s.Process] = s.End
		}
		bang := s.Attributes[string(conv.BangID)]
		if bang == "" {
			continue
		}
		f.of[s.Trace] = bang
		// Of what begins with the bang: a run that is its own root has its bang's id and begins later.
		if at, seen := f.banged[bang]; !seen || s.Start.Before(at) {
			f.banged[bang] = s.Start
		}
	}
	for bang, at := range f.recorded { // the first sign that is left of one may be late
		if first, seen := f.banged[bang]; seen && at.Before(first) {
			f.banged[bang] = at
		}
	}
}

func (f *forest) count() (traces, links int) {
	ids := map[string]bool{}
	for _, s := range f.spans {
		ids[s.Trace] = true
		links += len(s.Links)
	}
	return len(ids), links
}

// judge counts what is missing and explained by a kill, and tells what is not.
func (f *forest) judge() (attributed int, wrong []string) {
	for _, s := range f.spans {
		if _, found := f.spans[s.Trace+s.Parent]; s.Parent != "" && !found {
			if f.lost(s) {
				attributed++
			} else {
				wrong = append(wrong, fmt.Sprintf("orphan %s: %s", s.Trace, f.tell(s)))
			}
		}
		for _, l := range s.Links {
			if _, found := f.spans[l.Trace+l.Span]; found {
				continue
			}
			from := s.Start.Add(-lives)
			if at, known := f.banged[f.of[l.Trace]]; known && at.Before(from) {
				from = at
			}
			if f.killedBetween("svc-master", from, s.Start.Add(unsent)) || f.killedBetween("svc-scheduler", from, s.Start.Add(unsent)) {
				attributed++
			} else {
				wrong = append(wrong, fmt.Sprintf("broken link to %s: %s", l.Trace, f.tell(s)))
			}
		}
	}
	return attributed, wrong
}

// lost tells whether the parent of s was lost with its process. Whose it was follows from what s is.
func (f *forest) lost(s story.Span) bool {
	since, known := f.banged[f.of[s.Trace]]
	if !known {
		since = s.Start.Add(-lives)
	}
	switch {
	case s.Kind == trace.SpanKindServer: // beneath the call of another service
		for _, caller := range []string{"svc-master", "svc-scheduler", "svc-promise", "svc-node"} {
			// What it had sent before it was killed may be begun after it.
			if caller != s.Service && f.killedBetween(caller, s.Start.Add(-onItsWay), s.End.Add(unsent)) {
				return true
			}
		}
		return false
	case s.Kind == trace.SpanKindClient && s.Service == "svc-node" && (strings.HasSuffix(s.Name, "/ReportRun") || strings.HasSuffix(s.Name, "/Bang")) && f.killedBetween(s.Service, s.Start.Add(-lives), s.Start):
		return true // from the spool of the agent before it, beneath the stored context of a run or an exit
	case s.Name == conv.SpanFanOut || s.Name == conv.SpanConverge: // beneath the stored context of a bang
		return f.killedBetween("svc-master", since, since.Add(unsent))
	case s.Name == conv.SpanOrderRun: // beneath a fan out of this process or the one before it, or else the bang
		return f.killedBetween("svc-scheduler", since, s.End.Add(unsent)) || f.killedBetween("svc-master", since, since.Add(unsent))
	case s.Name == conv.SpanRun: // beneath the stored context of an order
		return f.killedBetween("svc-scheduler", since, s.Start.Add(unsent))
	}
	// Beneath a span of its own process: that was killed.
	last := f.last[s.Process]
	return last.Sub(s.End) < lives && f.killedBetween(s.Service, last.Add(-unsent), last.Add(unsent))
}

func (f *forest) killedBetween(service string, from, until time.Time) bool {
	for _, k := range f.kills {
		if k.service == service && !k.at.Before(from) && !k.at.After(until) {
			return true
		}
	}
	return false
}

func (f *forest) tell(s story.Span) string {
	var near []string
	for _, k := range f.kills {
		if d := k.at.Sub(s.Start); d.Abs() < lives {
			near = append(near, fmt.Sprintf("%s %+.2f s", k.service, d.Seconds()))
		}
	}
	at, known := f.banged[f.of[s.Trace]]
	told := "of no bang"
	if known {
		told = fmt.Sprintf("%.2f s after its bang", s.Start.Sub(at).Seconds())
	}
	return fmt.Sprintf("%s (%s, kind %s) %s, %.2f s long, parent %s, %v; killed: %s", s.Name, s.Service, s.Kind, told, s.End.Sub(s.Start).Seconds(), s.Parent, s.Attributes, strings.Join(near, ", "))
}

func TestAnOrphanIsAttributedToTheKillOfItsParentsProcessAndToNoOther(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	span := func(service, name string, kind trace.SpanKind, from, until float64) story.Span {
		return story.Span{
			Trace: "t", ID: name, Parent: "lost", Service: service, Process: service + "1", Name: name, Kind: kind, Start: at(from), End: at(until),
			Attributes: map[string]string{string(conv.BangID): "b"},
		}
	}
	for name, c := range map[string]struct {
		span   story.Span
		killed killing
		want   int
	}{
		"a call of a killed node":             {span("svc-master", "call", trace.SpanKindServer, 1, 2), killing{"svc-node", at(1.5)}, 1},
		"a call of a node killed before it":   {span("svc-master", "call", trace.SpanKindServer, 2, 3), killing{"svc-node", at(1.4)}, 1},
		"a call of a node killed long before": {span("svc-master", "call", trace.SpanKindServer, 4, 5), killing{"svc-node", at(1.4)}, 0},
		"a call of a node killed long after":  {span("svc-master", "call", trace.SpanKindServer, 1, 2), killing{"svc-node", at(9)}, 0},
		"a fan out of a bang that was lost":   {span("svc-scheduler", conv.SpanFanOut, trace.SpanKindInternal, 1, 2), killing{"svc-master", at(1.2)}, 1},
		"a fan out, and its own service":      {span("svc-scheduler", conv.SpanFanOut, trace.SpanKindInternal, 1, 2), killing{"svc-scheduler", at(1.2)}, 0},
		"a run whose order was lost":          {span("svc-node", conv.SpanRun, trace.SpanKindInternal, 1, 2), killing{"svc-scheduler", at(1)}, 1},
		"a run after a kill of someone else":  {span("svc-node", conv.SpanRun, trace.SpanKindInternal, 1, 2), killing{"svc-promise", at(1)}, 0},
		"a step of a node killed in the run":  {span("svc-node", conv.StepSpan("profile"), trace.SpanKindInternal, 1, 2), killing{"svc-node", at(2.1)}, 1},
		"a step of a node that lived on":      {span("svc-node", conv.StepSpan("profile"), trace.SpanKindInternal, 1, 2), killing{"svc-node", at(8)}, 0},
		"a step, and a kill of another":       {span("svc-node", conv.StepSpan("profile"), trace.SpanKindInternal, 1, 2), killing{"svc-master", at(2.1)}, 0},
		"a report of the agent before it":     {span("svc-node", "vow.master.v1.RunService/ReportRun", trace.SpanKindClient, 1, 2), killing{"svc-node", at(0.2)}, 1},
		"a report, and no agent before it":    {span("svc-node", "vow.master.v1.RunService/ReportRun", trace.SpanKindClient, 1, 2), killing{"svc-master", at(0.2)}, 0},
		"an order of the scheduler before it": {span("svc-scheduler", conv.SpanOrderRun, trace.SpanKindInternal, 1, 2), killing{"svc-scheduler", at(1.1)}, 1},
	} {
		f := forest{kills: []killing{c.killed}}
		f.plant([]story.Span{c.span})
		if attributed, wrong := f.judge(); attributed != c.want || len(wrong) != 1-c.want {
			t.Errorf("%s: %d attributed, want %d: %v", name, attributed, c.want, wrong)
		}
	}
	late := span("svc-scheduler", conv.SpanFanOut, trace.SpanKindInternal, 8, 9)
	f := forest{kills: []killing{{"svc-master", at(1.2)}}, recorded: map[string]time.Time{"b": at(1)}}
	f.plant([]story.Span{late})
	if attributed, wrong := f.judge(); attributed != 1 {
		t.Errorf("a fan out long after the record of its bang: %d attributed: %v", attributed, wrong)
	}
}
