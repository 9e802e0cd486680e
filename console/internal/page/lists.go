package page

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/console/ask"
	"github.com/vow-os/vow/console/internal/live"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

const (
	// bangTrees is of how many trees the bangs are asked for: those that banged most today.
	bangTrees = 40
	// bangsPerTree is how many of each.
	bangsPerTree = 20
	// maxFound bounds what a search shows of each kind.
	maxFound = 50
)

// bangRow is a bang with its tree.
type bangRow struct {
	*masterv1.Bang
	Tree     *masterv1.Tree
	Withheld bool
}

func rowOf(b *masterv1.Bang, t *masterv1.Tree) bangRow {
	return bangRow{b, t, b.GetOutcome() != masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED && b.GetOutcome() != masterv1.BangOutcome_BANG_OUTCOME_JOINED}
}

// bangsView is the page of bangs, of the fleet or of a tree.
type bangsView struct {
	Tree     *masterv1.Tree
	Trees    []*masterv1.Tree
	More     int
	Rows     []bangRow
	Withheld bool
	Pages    pages
}

func (s *Site) bangsPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	trees, err := s.Fleet.AllTrees(ctx)
	if err != nil {
		return view{}, err
	}
	banged := slices.DeleteFunc(slices.Clone(trees), func(t *masterv1.Tree) bool {
		return t.GetBangsToday() == 0 && t.GetConvergenceId() == "" && t.GetColour().GetColour() != typev1.Colour_COLOUR_RED
	})
	slices.SortStableFunc(banged, func(a, b *masterv1.Tree) int {
		return cmp.Or(cmp.Compare(b.GetBangsToday(), a.GetBangsToday()), cmp.Compare(a.GetTitle(), b.GetTitle()))
	})
	page := bangsView{Withheld: r.URL.Query().Get("withheld") != "", More: max(0, len(banged)-bangTrees)}
	page.Trees = banged[:min(len(banged), bangTrees)]
	found := make([][]*masterv1.Bang, len(page.Trees))
	failed := make([]error, len(page.Trees))
	each(page.Trees, func(i int, t *masterv1.Tree) {
		answer, err := s.Fleet.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: t.GetTreeId(), PageSize: bangsPerTree})
		found[i], failed[i] = answer.GetBangs(), err
	})
	var rows []bangRow
	for i, list := range found {
		if failed[i] != nil {
			return view{}, failed[i]
		}
		for _, b := range list {
			rows = append(rows, rowOf(b, page.Trees[i]))
		}
	}
	page.fill(rows, r)
	return view{Title: "Bangs", Section: "bangs", Name: "bangs", Topic: live.Fleet, Page: page}, nil
}

func (s *Site) treeBangsPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	tree, err := ask.GetTree(ctx, s.Fleet.Services, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	answer, err := s.Fleet.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree.GetTreeId(), PageSize: 1000})
	if err != nil {
		return view{}, err
	}
	page := bangsView{Tree: tree, Withheld: r.URL.Query().Get("withheld") != ""}
	var rows []bangRow
	for _, b := range answer.GetBangs() {
		rows = append(rows, rowOf(b, tree))
	}
	page.fill(rows, r)
	return view{Title: "Bangs of " + tree.GetTitle(), Section: "bangs", Name: "bangs", Topic: live.Fleet, About: tree.GetTreeId(), Page: page}, nil
}

// fill the rows, newest first, withheld ones alone if asked.
func (v *bangsView) fill(rows []bangRow, r *http.Request) {
	if v.Withheld {
		rows = slices.DeleteFunc(rows, func(b bangRow) bool { return !b.Withheld })
	}
	slices.SortStableFunc(rows, func(a, b bangRow) int { return b.GetAt().AsTime().Compare(a.GetAt().AsTime()) })
	v.Rows, v.Pages = cut(rows, r, pageSize)
}

// agendaRow is when a partition runs next.
type agendaRow struct {
	*schedulerv1.AgendaEntry
	Late, Paused bool
}

func (s *Site) agendaPage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	entries, err := s.Fleet.WholeAgenda(ctx)
	if err != nil {
		return view{}, err
	}
	page := struct {
		Rows                             []agendaRow
		Pages                            pages
		All, Late, Paused, Silent, Begun int
		Only                             string
		Latest                           time.Duration
	}{Only: r.URL.Query().Get("only")}
	var rows []agendaRow
	for _, e := range entries {
		row := agendaRow{AgendaEntry: e, Paused: e.GetPause() != nil}
		late := now.Sub(e.GetDueAt().AsTime())
		row.Late = !e.GetBegun() && !row.Paused && late > time.Second
		page.All++
		count := func(n *int, is bool) {
			if is {
				*n++
			}
		}
		count(&page.Late, row.Late)
		count(&page.Paused, row.Paused)
		count(&page.Silent, !e.GetConnected())
		count(&page.Begun, e.GetBegun())
		if row.Late {
			page.Latest = max(page.Latest, late)
		}
		if page.Only == "" || page.Only == "late" && row.Late || page.Only == "paused" && row.Paused || page.Only == "running" && e.GetBegun() || page.Only == "silent" && !e.GetConnected() {
			rows = append(rows, row)
		}
	}
	page.Rows, page.Pages = cut(rows, r, pageSize)
	return view{Title: "Agenda", Section: "agenda", Name: "agenda", Topic: live.Fleet, Page: page}, nil
}

func (s *Site) crimesPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	runs, err := s.Fleet.Trees.ListRunCrimes(ctx, &masterv1.ListRunCrimesRequest{})
	if err != nil {
		return view{}, err
	}
	v := view{Title: "Monitoring crimes", Section: "crimes", Name: "crimes", Topic: live.Fleet}
	promises, err := s.Fleet.Promises.ListCrimes(ctx, &promisev1.ListCrimesRequest{})
	v.Unknown = unknown(v.Unknown, "the crimes of promises", "svc-promise", err)
	page := struct {
		Runs         []*masterv1.RunCrime
		Promises     []*promisev1.PromiseCrime
		Releases     []*typev1.ReleaseCrime
		RunPages     pages
		PromisePages pages
	}{Releases: append(slices.Clone(runs.GetReleases()), promises.GetReleases()...)}
	page.Runs, page.RunPages = cut(runs.GetCrimes(), r, pageSize)
	page.Promises, page.PromisePages = cut(promises.GetCrimes(), r, pageSize)
	v.Page = page
	return v, nil
}

// foundInstance is an instance that a search found, by where it is.
type foundInstance struct {
	*masterv1.Partition
	Computer string
}

func (s *Site) searchPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	if len(query) > maxQuery {
		query = query[:maxQuery]
	}
	if m := ask.ID.FindStringSubmatch(query); m != nil { // an id of anything names its page
		switch {
		case m[1] == "":
			return view{}, redirect{"/trees/" + query}
		case m[1][1] == 'b' || m[1][1] == 'c':
			return view{}, redirect{"/convergences/" + query}
		default:
			return view{}, redirect{"/instances/" + query}
		}
	}
	page := struct {
		Query     string
		Trees     []*masterv1.Tree
		Computers []*masterv1.Computer
		Instances []foundInstance
		Bound     int
	}{Query: query, Bound: maxFound}
	v := view{Title: "Search", Section: "search", Name: "search"}
	if query == "" {
		v.Page = page
		return v, nil
	}
	trees, err := s.Fleet.AllTrees(ctx)
	if err != nil {
		return view{}, err
	}
	computers, err := s.Fleet.AllComputers(ctx)
	if err != nil {
		return view{}, err
	}
	matches := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(query)) }
	for _, t := range trees {
		if matches(t.GetTitle()) && len(page.Trees) < maxFound {
			page.Trees = append(page.Trees, t)
		}
	}
	for _, c := range computers {
		if matches(c.GetName()) && len(page.Computers) < maxFound {
			page.Computers = append(page.Computers, c)
		}
		for _, p := range c.GetPartitions() {
			if p.GetInstanceId() != "" && len(page.Instances) < maxFound && (matches(p.GetInstanceTitle()) || matches(c.GetName()+"/"+p.GetName())) {
				page.Instances = append(page.Instances, foundInstance{p, c.GetName()})
			}
		}
	}
	v.Page = page
	return v, nil
}
