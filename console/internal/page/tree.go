package page

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/console/ask"
	"github.com/vow-os/vow/console/internal/live"
	"github.com/vow-os/vow/console/why"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
)

const (
	// withPromises is up to how many instances of a page the promises of each are asked for.
	withPromises = 20
	// shownConvergences is how many a tree's page names.
	shownConvergences = 8
)

func percent(part float64) string { return strconv.Itoa(int(part*100+0.5)) + " %" }

// treeRow is a tree as the list shows it.
type treeRow struct {
	*masterv1.Tree
	Next *schedulerv1.AgendaEntry
}

func (s *Site) treesPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	trees, err := s.Fleet.AllTrees(ctx)
	if err != nil {
		return view{}, err
	}
	v := view{Title: "Trees", Section: "trees", Name: "trees", Topic: live.Fleet}
	agenda, err := s.Fleet.WholeAgenda(ctx)
	v.Unknown = unknown(v.Unknown, "the next runs", "svc-scheduler", err)
	next := map[string]*schedulerv1.AgendaEntry{}
	for _, e := range agenda { // next due first
		tree, _, _ := strings.Cut(e.GetAllocationId(), ".")
		if next[tree] == nil {
			next[tree] = e
		}
	}
	page := struct {
		Count tally
		Rows  []treeRow
		Pages pages
		Asked string
	}{Asked: r.URL.Query().Get("colour")}
	var rows []treeRow
	for _, t := range trees {
		page.Count.add(t.GetColour())
		if has(r, t.GetColour()) {
			rows = append(rows, treeRow{Tree: t, Next: next[t.GetTreeId()]})
		}
	}
	slices.SortStableFunc(rows, func(a, b treeRow) int {
		return cmp.Or(cmp.Compare(rank(a.GetColour()), rank(b.GetColour())), cmp.Compare(a.GetTitle(), b.GetTitle()))
	})
	page.Rows, page.Pages = cut(rows, r, pageSize)
	v.Colour, v.Page = worst(page.Count), page
	return v, nil
}

// instanceRow is an instance as its tree's page shows it.
type instanceRow struct {
	*masterv1.Instance
	Next     *schedulerv1.AgendaEntry
	Promises []*promisev1.PromiseStatus
}

func (s *Site) treePage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	tree, err := ask.GetTree(ctx, s.Fleet.Services, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	if tree.GetTreeId() != r.PathValue("id") { // by title, or by something in it: one tree has one URL
		return view{}, redirect{"/trees/" + tree.GetTreeId()}
	}
	facts := why.Facts{Tree: tree}
	if err := ask.Tree(ctx, s.Fleet.Services, &facts); err != nil {
		return view{}, err
	}
	list, err := s.Fleet.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: tree.GetTreeId(), PageSize: shownConvergences})
	if err != nil {
		return view{}, err
	}
	v := view{
		Title: tree.GetTitle(), Section: "trees", Name: "tree", Topic: live.Fleet, About: tree.GetTreeId(), Colour: colourOf(tree.GetColour()).Class,
		Feed: "/trees/" + tree.GetTreeId() + "/feed.atom",
	}
	instances := slices.Clone(tree.GetInstances())
	slices.SortStableFunc(instances, func(a, b *masterv1.Instance) int {
		return cmp.Compare(rank(shownColour(a)), rank(shownColour(b)))
	})
	page := struct {
		*masterv1.Tree
		Count        tally
		Story        why.Story
		Rows         []instanceRow
		Pages        pages
		Convergences []*masterv1.Convergence
		WithPromises bool
		Root         *masterv1.Instance
	}{Tree: tree, Story: why.Of(facts, now), Convergences: list.GetConvergences()}
	if len(tree.GetInstances()) > 0 {
		page.Root = tree.GetInstances()[0]
	}
	for _, i := range instances {
		page.Count.add(shownColour(i))
	}
	shown, cutting := cut(instances, r, pageSize)
	page.Pages, page.WithPromises = cutting, len(shown) <= withPromises
	next, err := s.nextRuns(ctx, shown)
	v.Unknown = unknown(facts.Silent, "the next runs", "svc-scheduler", err)
	page.Rows = make([]instanceRow, len(shown))
	each(shown, func(n int, i *masterv1.Instance) {
		row := instanceRow{Instance: i, Next: next[i.GetAllocationId()]}
		if page.WithPromises && i.GetAllocationId() != "" {
			row.Promises = facts.Promises[i.GetAllocationId()]
			if row.Promises == nil {
				answer, _ := s.Fleet.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: i.GetAllocationId()}) // the facts say when it is silent
				row.Promises = answer.GetPromises()
			}
		}
		page.Rows[n] = row
	})
	v.Page = page
	return v, nil
}

// nextRuns of some instances, by allocation: of few computers one by one, else of the whole fleet.
func (s *Site) nextRuns(ctx context.Context, of []*masterv1.Instance) (map[string]*schedulerv1.AgendaEntry, error) {
	next := map[string]*schedulerv1.AgendaEntry{}
	computers := map[string]bool{}
	for _, i := range of {
		if i.GetComputer() != "" {
			computers[i.GetComputer()] = true
		}
	}
	if len(computers) > atOnce {
		entries, err := s.Fleet.WholeAgenda(ctx)
		for _, e := range entries {
			next[e.GetAllocationId()] = e
		}
		return next, err
	}
	var failed error
	for name := range computers {
		answer, err := s.Fleet.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{Computer: name})
		failed = cmp.Or(failed, err)
		for _, e := range answer.GetEntries() {
			next[e.GetAllocationId()] = e
		}
	}
	return next, failed
}

func (s *Site) instancePage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	id := r.PathValue("id")
	tree, err := ask.GetTree(ctx, s.Fleet.Services, id)
	if err != nil {
		return view{}, err
	}
	at := slices.IndexFunc(tree.GetInstances(), func(i *masterv1.Instance) bool { return i.GetInstanceId() == id || i.GetAllocationId() == id })
	if at < 0 {
		return view{}, notFound("cannot find instance %q in tree %s", id, tree.GetTitle())
	}
	i := tree.GetInstances()[at]
	facts := why.Facts{Tree: tree, Instance: i.GetInstanceId()}
	if err := ask.Tree(ctx, s.Fleet.Services, &facts); err != nil {
		return view{}, err
	}
	page := struct {
		*masterv1.Instance
		Tree       *masterv1.Tree
		Story      why.Story
		Promises   []*promisev1.PromiseStatus
		Next       *schedulerv1.AgendaEntry
		Requests   []*masterv1.Instance
		Requester  *masterv1.Instance
		Parameters []pair
		Connection []pair
		Shown      bool
		Published  int
		Colour     shade
	}{
		Instance: i, Tree: tree, Story: why.Of(facts, now), Promises: facts.Promises[i.GetAllocationId()], Next: facts.Agenda[i.GetAllocationId()],
		Parameters: pairs(i.GetParameters()), Published: len(i.GetConnectionParameters()), Shown: r.URL.Query().Get("show") == "connection",
		Colour: colourOf(shownColour(i)),
	}
	if page.Shown { // secrets are not in the page until they are asked for
		page.Connection = pairs(i.GetConnectionParameters())
	}
	for _, other := range tree.GetInstances() {
		if other.GetRequesterId() == i.GetInstanceId() {
			page.Requests = append(page.Requests, other)
		}
		if other.GetInstanceId() == i.GetRequesterId() {
			page.Requester = other
		}
	}
	return view{
		Title: tree.GetTitle() + " / " + i.GetTitle(), Section: "trees", Name: "instance", Topic: live.Fleet, About: tree.GetTreeId(), Colour: page.Colour.Class,
		Unknown: facts.Silent, Page: page,
	}, nil
}

// pair is one parameter.
type pair struct{ Key, Value string }

func pairs(of map[string]string) []pair {
	var all []pair
	for k, v := range of {
		all = append(all, pair{k, v})
	}
	slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

func idOfTree(id string) string {
	tree, _, _ := strings.Cut(id, ".")
	return tree
}
