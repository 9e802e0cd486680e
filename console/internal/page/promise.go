package page

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/console/ask"
	"github.com/vow-os/vow/console/internal/live"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
)

const (
	// maxStrip bounds the verdicts that are drawn: the newest.
	maxStrip = 240
	// shownPoints are the newest, as a table.
	shownPoints = 20
)

// reach is how far back a chart goes.
type reach struct {
	Name   string
	span   time.Duration
	Chosen bool
}

// ranges that a chart may have; the first is what is shown unless another is asked for. History keeps 400 days.
func ranges(asked string) (all []reach, chosen reach) {
	all = []reach{{Name: "6 h", span: 6 * time.Hour}, {Name: "1 d", span: 24 * time.Hour}, {Name: "2 w", span: 14 * 24 * time.Hour}, {Name: "1 y", span: 365 * 24 * time.Hour}}
	at := 0
	for i := range all {
		if all[i].Name == asked {
			at = i
		}
	}
	all[at].Chosen = true
	return all, all[at]
}

// tick is one verdict of the strip.
type tick struct{ X, Width, Class, Title string }

func (s *Site) history(ctx context.Context, r *http.Request, now time.Time) (*promisev1.HistoryResponse, error) {
	_, chosen := ranges(r.URL.Query().Get("range"))
	return s.Fleet.Promises.History(ctx, &promisev1.HistoryRequest{
		AllocationId: r.PathValue("allocation"), Promise: r.PathValue("name"), From: timestamppb.New(now.Add(-chosen.span)),
	})
}

func (s *Site) promisePage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	allocation, name := r.PathValue("allocation"), r.PathValue("name")
	history, err := s.history(ctx, r, now)
	if err != nil {
		return view{}, err
	}
	v := view{Title: name, Section: "trees", Name: "promise", Topic: live.Fleet, About: idOfTree(allocation)}
	page := struct {
		Allocation, Name, Points string
		Status                   *promisev1.PromiseStatus
		Ranges                   []reach
		Strip                    []tick
		Newest                   []*promisev1.HistoryPoint
		Days                     []*promisev1.HistoryDay
		Messages                 []*promisev1.HistoryMessage
		Tree                     *masterv1.Tree
		Instance                 *masterv1.Instance
		HasValues                bool
		Range                    string
	}{Allocation: allocation, Name: name, Status: history.GetStatus(), Days: history.GetDays(), Messages: history.GetMessages()}
	all, chosen := ranges(r.URL.Query().Get("range"))
	page.Ranges, page.Range = all, chosen.Name
	for _, p := range history.GetPoints() {
		page.HasValues = page.HasValues || p.Value != nil
	}
	page.Strip = strip(history.GetPoints())
	for i := len(history.GetPoints()) - 1; i >= 0 && len(page.Newest) < shownPoints; i-- {
		page.Newest = append(page.Newest, history.GetPoints()[i])
	}
	tree, err := ask.GetTree(ctx, s.Fleet.Services, allocation)
	v.Unknown = unknown(v.Unknown, "the instance", "svc-master", err)
	page.Tree = tree
	for _, i := range tree.GetInstances() {
		if i.GetAllocationId() == allocation {
			page.Instance = i
		}
	}
	v.Colour = "green"
	if page.Status.GetVerdict().GetTestFailed() {
		v.Colour = "red"
	}
	v.Page = page
	return v, nil
}

// strip is the newest verdicts, one beside the other: time is in the table, order is what one sees here.
func strip(points []*promisev1.HistoryPoint) []tick {
	points = points[max(0, len(points)-maxStrip):]
	var all []tick
	for i, p := range points {
		t := tick{Class: "passed", X: share(time.Duration(i), time.Duration(len(points))), Width: share(1, time.Duration(len(points))), Title: p.GetAt().AsTime().UTC().Format(time.RFC3339)}
		switch {
		case p.GetAnomaly():
			t.Class = "anomaly"
		case p.GetFailed():
			t.Class = "failed"
		}
		if p.GetCount() > 1 {
			t.Title += ", " + strconv.Itoa(int(p.GetFailedCount())) + " of " + strconv.Itoa(int(p.GetCount())) + " failed"
		}
		all = append(all, t)
	}
	return all
}

// points is the data of the chart: seconds, values, and where it failed.
func (s *Site) points(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	history, err := s.history(ctx, r, s.Now())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := struct {
		At     []int64    `json:"at"`
		Value  []*float64 `json:"value"`
		Min    []*float64 `json:"min"`
		Max    []*float64 `json:"max"`
		Failed []bool     `json:"failed"`
	}{}
	for _, p := range history.GetPoints() {
		data.At = append(data.At, p.GetAt().GetSeconds())
		data.Value, data.Min, data.Max = append(data.Value, p.Value), append(data.Min, p.Min), append(data.Max, p.Max)
		data.Failed = append(data.Failed, p.GetFailed())
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(data); err != nil {
		s.Telemetry.Log.DebugContext(ctx, "cannot send the points of a promise", "error", err)
	}
}
