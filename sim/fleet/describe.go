package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// namer replaces ids by names: a tree by its title, an instance by its title, an allocation, bang or convergence by its
// number in the tree, a run by its number in its partition.
type namer struct {
	titles map[string]string
	runs   map[string]string
}

var (
	treeThing = regexp.MustCompile(`\bt[0-9a-hjkmnp-tv-z]{12}(\.[abci][0-9]+)?\b`)
	runThing  = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-z-]{12,45}\b`)
)

func (f *Fleet) namer(ctx context.Context) (*namer, error) {
	titles, err := f.Operator.trees(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(f.titles, titles) // a destroyed one keeps its name
	f.nameRuns()
	return &namer{titles: f.titles, runs: f.runs}, nil
}

// name names the ids in a text.
func (n *namer) name(text string) string {
	text = treeThing.ReplaceAllStringFunc(text, func(id string) string {
		if title, ok := n.titles[id]; ok {
			return title
		}
		tree, thing, _ := strings.Cut(id, ".")
		title, ok := n.titles[tree]
		if !ok {
			title = "?"
		}
		if thing == "" {
			return title
		}
		return title + "." + thing
	})
	return runThing.ReplaceAllStringFunc(text, n.run)
}

func (n *namer) run(id string) string { return or(n.runs[id], "?") }

// nameRuns names runs by their number in their partition.
func (f *Fleet) nameRuns() {
	count := map[string]int{}
	for _, e := range f.Recorder.Events() {
		id, _ := e.Fields[string(conv.RunID)].(string)
		partition, _ := e.Fields[string(conv.PartitionID)].(string)
		if e.Name != conv.EventRunStarted {
			continue
		}
		count[e.Host+partition]++
		f.runs[id] = fmt.Sprintf("%s/%s/%d", e.Host, partition, count[e.Host+partition])
	}
}

// Named names the ids in a text.
func (f *Fleet) Named(ctx context.Context, text string) (string, error) {
	n, err := f.namer(ctx)
	if err != nil {
		return "", err
	}
	return n.name(text), nil
}

// word is the last word of a protobuf enum's value: COLOUR_GREEN -> green.
func word(prefix string, value fmt.Stringer) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(value.String(), prefix), "_", " "))
}

// State tells of every tree: its colour and what is known of each instance.
func (f *Fleet) State(ctx context.Context) (string, error) {
	n, err := f.namer(ctx)
	if err != nil {
		return "", err
	}
	trees, err := f.Operator.all(ctx)
	if err != nil {
		return "", err
	}
	slices.SortFunc(trees, func(a, b *masterv1.Tree) int { return cmp.Compare(a.GetTitle(), b.GetTitle()) })
	var text strings.Builder
	for _, t := range trees {
		fmt.Fprintf(&text, "%s: %s\n", t.GetTitle(), colour(t.GetColour()))
		for _, condition := range t.GetConditions() {
			fmt.Fprintf(&text, "  %s\n", condition)
		}
		if c := t.GetConvergenceId(); c != "" {
			fmt.Fprintf(&text, "  convergence %s is open\n", c)
		}
		for _, i := range t.GetInstances() {
			text.WriteString("  " + instance(i) + "\n")
		}
	}
	return n.name(text.String()), nil
}

func colour(c *typev1.ColourStatus) string {
	said := word("COLOUR_", c.GetColour())
	if c.GetUnconfirmed() {
		said += " (unconfirmed)"
	}
	if reason := c.GetReason(); reason != "" {
		said += ", " + reason
	}
	return said
}

func instance(i *masterv1.Instance) string {
	s := i.GetStatus()
	where := "nowhere (" + i.GetUnallocatedReason() + ")"
	if i.GetHostId() != "" {
		where = "a host"
	}
	if i.GetAllocationId() != "" {
		where = i.GetComputer() + "/" + i.GetPartition()
	}
	said := []string{fmt.Sprintf("%s on %s: %s", i.GetTitle(), where, colour(s.GetColour()))}
	if i.GetState() != typev1.RequestedState_REQUESTED_STATE_STARTED {
		said = append(said, word("REQUESTED_STATE_", i.GetState()))
	}
	said = append(said, fmt.Sprintf("wanted %d, settled %d", s.GetWanted().GetNumber(), s.GetSettled().GetNumber()))
	if latest := s.GetLatest(); latest != nil {
		run := fmt.Sprintf("latest run %s (%s, attempt %d)", word("RUN_RESULT_", latest.GetResult()), word("CAUSE_", latest.GetCause()), latest.GetAttempt())
		if latest.GetErrorType() != "" {
			run += " " + latest.GetErrorType()
		}
		if latest.GetEvaluatedLocally() {
			run += " evaluated by the node"
		}
		said = append(said, run)
	}
	if s.GetRunInProgress() != "" {
		said = append(said, "a run is in progress")
	}
	if s.GetWithheld() != "" {
		said = append(said, "withheld: "+s.GetWithheld())
	}
	return strings.Join(said, "; ")
}

// BangRecords tells of every bang of a tree, oldest first, and of its convergences.
func (f *Fleet) BangRecords(ctx context.Context, title string) (string, error) {
	n, err := f.namer(ctx)
	if err != nil {
		return "", err
	}
	t, err := f.Operator.Tree(ctx, title)
	if err != nil {
		return "", err
	}
	bangs, err := f.Operator.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: t.GetTreeId(), PageSize: 1000})
	if err != nil {
		return "", err
	}
	slices.SortFunc(bangs.GetBangs(), func(a, b *masterv1.Bang) int { return cmp.Compare(a.GetNumber(), b.GetNumber()) })
	lines := []string{}
	for _, b := range bangs.GetBangs() {
		line := fmt.Sprintf("%s of %s by %s %q: %s", word("BANG_ORIGIN_", b.GetOrigin()), or(b.GetInstanceId(), t.GetTreeId()), b.GetSource(), b.GetMessage(), word("BANG_OUTCOME_", b.GetOutcome()))
		if b.GetReason() != "" {
			line += ", " + b.GetReason()
		}
		if b.GetSatisfiedAt() != nil {
			line += "; satisfied after " + b.GetSatisfiedAt().AsTime().Sub(b.GetAt().AsTime()).Round(time.Millisecond).String()
		}
		lines = append(lines, line)
	}
	conv, err := f.Operator.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: t.GetTreeId(), PageSize: 100})
	if err != nil {
		return "", err
	}
	slices.SortFunc(conv.GetConvergences(), func(a, b *masterv1.Convergence) int {
		return a.GetOpenedAt().AsTime().Compare(b.GetOpenedAt().AsTime())
	})
	for _, c := range conv.GetConvergences() {
		lines = append(lines, convergence(c))
	}
	return n.name(strings.Join(fold(lines), "\n") + "\n"), nil
}

// convergence tells of one, and how often each instance was reported in it.
func convergence(c *masterv1.Convergence) string {
	reports := map[string]int{}
	for _, e := range c.GetTimeline() {
		if e.GetMoment() == masterv1.Moment_MOMENT_REPORTED {
			reports[e.GetTitle()]++
		}
	}
	var members []string
	for _, title := range slices.Sorted(maps.Keys(reports)) {
		members = append(members, fmt.Sprintf("%s %d", title, reports[title]))
	}
	return fmt.Sprintf("convergence %s: %s, %d joined, took %.3fs; reports: %s", c.GetConvergenceId(),
		word("CONVERGENCE_STATE_", c.GetState()), c.GetJoined(), c.GetDurationSeconds(), strings.Join(members, ", "))
}

// fold writes equal neighbours once, with their number.
func fold(lines []string) []string {
	var out []string
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && lines[j] == lines[i] {
			j++
		}
		line := lines[i]
		if j-i > 1 {
			line += fmt.Sprintf(" ×%d", j-i)
		}
		out = append(out, line)
		i = j
	}
	return out
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// AgendaEntries tells when each partition runs next and why.
func (f *Fleet) AgendaEntries(ctx context.Context) (string, error) {
	n, err := f.namer(ctx)
	if err != nil {
		return "", err
	}
	entries, err := f.Operator.agenda(ctx)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, e := range entries {
		line := fmt.Sprintf("%s on %s/%s: %s in %s, attempt %d", e.GetTitle(), e.GetComputer(), e.GetPartition(), word("CAUSE_", e.GetCause()),
			time.Until(e.GetDueAt().AsTime()).Round(time.Second), e.GetAttempt())
		if e.GetFolds() > 0 {
			line += fmt.Sprintf(", %d folded", e.GetFolds())
		}
		if !e.GetConnected() {
			line += ", not connected"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return n.name(strings.Join(lines, "\n") + "\n"), nil
}

// Transcript tells what happened since the given time: one event a line, by time, then entity, then sequence. With a
// service, only what it told.
func (f *Fleet) Transcript(ctx context.Context, since time.Time, service string) (string, error) {
	n, err := f.namer(ctx)
	if err != nil {
		return "", err
	}
	var events []Event
	for _, e := range f.Recorder.Events() {
		if !e.At.Before(since) && (service == "" || e.Service == service) {
			events = append(events, e)
		}
	}
	entity := func(e Event) string {
		return fmt.Sprint(e.Service, " ", e.Host, " ", e.Fields[string(conv.TreeID)], " ", e.Fields[string(conv.PartitionID)])
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(a.At.Truncate(time.Millisecond).Compare(b.At.Truncate(time.Millisecond)), cmp.Compare(entity(a), entity(b)), cmp.Compare(a.Sequence, b.Sequence))
	})
	lines := make([]string, 0, len(events))
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("+%.3fs %s: %s", e.At.Sub(since).Truncate(time.Millisecond).Seconds(), told(e), n.name(fields(e))))
	}
	return strings.Join(fold(lines), "\n") + "\n", nil
}

// Runs counts the runs that ended since the given time, per window.
func (f *Fleet) Runs(since time.Time, window time.Duration) string {
	counts := map[int]int{}
	last := 0
	for _, e := range f.Recorder.Events() {
		if e.Name == conv.EventRunFinished && !e.At.Before(since) {
			at := int(e.At.Sub(since) / window)
			counts[at]++
			last = max(last, at)
		}
	}
	var text strings.Builder
	for at := range last + 1 {
		fmt.Fprintf(&text, "+%s: %d runs\n", time.Duration(at)*window, counts[at])
	}
	return text.String()
}

// told is who told what.
func told(e Event) string {
	who := e.Service
	if e.Host != "" && strings.TrimPrefix(e.Service, "svc-") != e.Host {
		who += " on " + e.Host
	}
	return who + " " + strings.TrimPrefix(e.Name, "vow.")
}

// untold are fields that every record has, or that say the same as another one.
var untold = map[string]bool{
	"time": true, "level": true, "msg": true, "service": true, "trace_id": true, "span_id": true, string(conv.EventName): true,
	string(conv.ComputerID): false, string(conv.Epoch): true, string(conv.ConvergenceID): true,
}

func fields(e Event) string {
	var said []string
	for _, key := range slices.Sorted(maps.Keys(e.Fields)) {
		if untold[key] {
			continue
		}
		said = append(said, fmt.Sprintf("%s=%v", strings.TrimPrefix(key, "vow."), e.Fields[key]))
	}
	return strings.Join(said, " ")
}
