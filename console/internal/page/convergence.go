package page

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/console/waterfall"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
)

// maxBars bounds what is drawn of a convergence: the decisive member, what failed and what waits come first.
const maxBars = 400

// traceID is what a trace's id looks like; nothing else gets into a link.
var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// bar is one row of the waterfall; X and Width are percentages of the whole.
type bar struct {
	Label, Class, Start, Length, Note, InstanceID string
	Depth                                         int
	X, Width                                      string
}

// stretch is one part of the critical path.
type stretch struct{ Label, Title, Length, X, Width, Class string }

func (s *Site) convergencePage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	answer, err := s.Fleet.Convergences.GetConvergence(ctx, &masterv1.GetConvergenceRequest{Id: r.PathValue("id")})
	if err != nil {
		return view{}, err
	}
	c := answer.GetConvergence()
	if c.GetConvergenceId() != r.PathValue("id") { // by a bang
		return view{}, redirect{"/convergences/" + c.GetConvergenceId()}
	}
	rows := waterfall.Rows(c, now)
	page := struct {
		*masterv1.Convergence
		Word, Class, Took, TraceLink string
		Bars                         []bar
		Left                         int
		Path                         []stretch
		Settled, Waiting             int
	}{
		Convergence: c, Word: human.Word(c.GetState(), "CONVERGENCE_STATE_"), TraceLink: traceLink(s.TraceURL, c.GetTraceId()),
	}
	took := time.Duration(c.GetDurationSeconds() * float64(time.Second))
	if c.GetClosedAt() == nil {
		took = max(took, now.Sub(c.GetOpenedAt().AsTime()))
	}
	page.Took = waterfall.Milliseconds(took)
	v := view{Title: c.GetConvergenceId() + " of " + c.GetTitle(), Section: "trees", Name: "convergence"}
	switch c.GetState() {
	case masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN:
		page.Class, v.Topic = "orange", c.GetConvergenceId() // one that is closed never changes
	case masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED:
		page.Class = "green"
	default:
		page.Class = "red"
	}
	if r.URL.Query().Get("live") != "" { // the stream tells of the end too, and then says nothing more
		v.Topic = c.GetConvergenceId()
	}
	for _, m := range c.GetMembers() {
		if m.GetSettled() {
			page.Settled++
		} else {
			page.Waiting++
		}
	}
	page.Bars, page.Left = bars(rows)
	page.Path = stretches(waterfall.Path(c, now))
	v.Colour, v.Page = page.Class, page
	return v, nil
}

// bars of the rows, at most maxBars: those of the tree and of the decisive member, of failed and of waiting ones first, each in its place.
func bars(rows []waterfall.Row) (drawn []bar, left int) {
	var total time.Duration
	notable := map[string]bool{}
	for _, row := range rows {
		total = max(total, row.To)
		if row.InstanceID == "" || row.Critical || row.Failed {
			notable[row.InstanceID] = true
		}
	}
	keep := make([]bool, len(rows))
	room := maxBars
	for _, wanted := range []func(waterfall.Row) bool{
		func(r waterfall.Row) bool { return notable[r.InstanceID] },
		func(r waterfall.Row) bool { return r.Pending },
		func(waterfall.Row) bool { return true },
	} {
		for i, row := range rows {
			if room > 0 && !keep[i] && wanted(row) {
				keep[i] = true
				room--
			}
		}
	}
	for i, row := range rows {
		if !keep[i] {
			left++
			continue
		}
		drawn = append(drawn, barOf(row, total))
	}
	return drawn, left
}

func barOf(r waterfall.Row, total time.Duration) bar {
	b := bar{
		Label: r.Label, Depth: r.Depth, InstanceID: r.InstanceID, Start: waterfall.Milliseconds(r.From), Length: waterfall.Milliseconds(r.To - r.From), Note: strings.TrimSpace(r.Note),
		X: share(r.From, total), Width: share(max(0, r.To-r.From), total), // a clock that is behind begins what is pending after now
	}
	var classes []string
	if r.Depth > 0 {
		classes = append(classes, "sub")
	}
	if r.Critical {
		classes = append(classes, "critical")
	}
	switch {
	case r.Pending:
		classes, b.Length = append(classes, "pending"), "pending"
	case r.Failed:
		classes = append(classes, "failed")
	case r.From == r.To:
		classes, b.Length = append(classes, "moment"), ""
	}
	b.Class = strings.Join(classes, " ")
	return b
}

func stretches(parts []waterfall.Part) []stretch {
	if len(parts) == 0 {
		return nil
	}
	total := parts[len(parts)-1].To
	var all []stretch
	for i, p := range parts {
		all = append(all, stretch{
			Label: p.Label, Title: p.Title, Length: waterfall.Milliseconds(p.To - p.From), X: share(p.From, total), Width: share(p.To-p.From, total), Class: "p" + strconv.Itoa(i%2),
		})
	}
	return all
}

// share of the whole in per cent.
func share(part, total time.Duration) string {
	if total <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(part)/float64(total), 'f', 3, 64)
}

// traceLink fills a URL template; empty = there is none.
func traceLink(template, id string) string {
	if template == "" || !traceID.MatchString(id) {
		return ""
	}
	return strings.ReplaceAll(template, "{trace_id}", url.PathEscape(id))
}
