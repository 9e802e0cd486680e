package page

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/vow-os/vow/console/ask"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
)

// feedEntries bounds a feed.
const feedEntries = 50

// atom is a feed (RFC 4287).
type atom struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
	Summary string   `xml:"summary"`
	at      time.Time
}

// feed of a tree: its colour now, its bangs and its convergences, newest first. An entry's id never changes, so that a reader shows each once.
func (s *Site) feed(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	made, err := s.makeFeed(ctx, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	fmt.Fprint(w, xml.Header)
	if err := xml.NewEncoder(w).Encode(made); err != nil {
		s.Telemetry.Log.DebugContext(ctx, "cannot send a feed", "error", err)
	}
}

func (s *Site) makeFeed(ctx context.Context, r *http.Request) (atom, error) {
	tree, err := ask.GetTree(ctx, s.Fleet.Services, r.PathValue("id"))
	if err != nil {
		return atom{}, err
	}
	bangs, err := s.Fleet.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree.GetTreeId(), PageSize: feedEntries})
	if err != nil {
		return atom{}, err
	}
	convergences, err := s.Fleet.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: tree.GetTreeId(), PageSize: feedEntries})
	if err != nil {
		return atom{}, err
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	base := scheme + r.Host
	var entries []atomEntry
	add := func(id string, at time.Time, path, title, summary string) {
		entries = append(entries, atomEntry{ID: "urn:vow:" + id, Title: title, Updated: at.UTC().Format(time.RFC3339), Link: atomLink{"alternate", base + path}, Summary: summary, at: at})
	}
	page := "/trees/" + tree.GetTreeId()
	if since := tree.GetColour().GetSince(); since != nil {
		colour := colourOf(tree.GetColour())
		add(fmt.Sprintf("%s:%s:%d", tree.GetTreeId(), colour.Class, since.AsTime().UnixMilli()), since.AsTime(), page, tree.GetTitle()+" is "+colour.Word, colour.Reason)
	}
	for _, b := range bangs.GetBangs() {
		to := page + "/bangs"
		if b.GetConvergenceId() != "" {
			to = "/convergences/" + b.GetConvergenceId()
		}
		title := fmt.Sprintf("%s: bang by %s %s, %s", tree.GetTitle(), human.Word(b.GetOrigin(), "BANG_ORIGIN_"), b.GetSource(), human.Word(b.GetOutcome(), "BANG_OUTCOME_"))
		add(b.GetBangId(), b.GetAt().AsTime(), to, title, cmp.Or(b.GetReason(), b.GetMessage()))
	}
	for _, c := range convergences.GetConvergences() {
		if c.GetClosedAt() == nil {
			continue
		}
		title := fmt.Sprintf("%s: %s after %.3f s", tree.GetTitle(), human.Word(c.GetState(), "CONVERGENCE_STATE_"), c.GetDurationSeconds())
		add(c.GetConvergenceId(), c.GetClosedAt().AsTime(), "/convergences/"+c.GetConvergenceId(), title, "")
	}
	slices.SortStableFunc(entries, func(a, b atomEntry) int { return b.at.Compare(a.at) })
	entries = entries[:min(len(entries), feedEntries)]
	updated := s.Now().UTC().Format(time.RFC3339)
	if len(entries) > 0 {
		updated = entries[0].Updated
	}
	return atom{
		ID: "urn:vow:" + tree.GetTreeId(), Title: "vow: " + tree.GetTitle(), Updated: updated, Author: "vow", Entries: entries,
		Links: []atomLink{{"self", base + page + "/feed.atom"}, {"alternate", base + page}},
	}, nil
}
