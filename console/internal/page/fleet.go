package page

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/vow-os/vow/console/ask"
	"github.com/vow-os/vow/console/why"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

const (
	// shownRed is how many red trees the first page names.
	shownRed = 12
	// withReleases is up to how many computers the releases of each are asked for.
	withReleases = 20
)

// computerRow is a computer as the fleet page shows it.
type computerRow struct {
	*masterv1.Computer
	Used, Red int
	Load      string
	Releases  []*masterv1.Software
}

func (s *Site) fleetPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	trees, err := s.Fleet.AllTrees(ctx)
	if err != nil {
		return view{}, err
	}
	computers, err := s.Fleet.AllComputers(ctx)
	if err != nil {
		return view{}, err
	}
	page := struct {
		Trees, Computers, Partitions tally
		Free                         int
		Red                          []*masterv1.Tree
		Rows                         []computerRow
		Pages                        pages
		WithReleases                 bool
	}{}
	for _, t := range trees {
		page.Trees.add(t.GetColour())
		if t.GetColour().GetColour() == typev1.Colour_COLOUR_RED && len(page.Red) < shownRed {
			page.Red = append(page.Red, t)
		}
	}
	var rows []computerRow
	for _, c := range computers {
		page.Computers.add(c.GetColour())
		row := computerRow{Computer: c, Load: load(c)}
		for _, p := range c.GetPartitions() {
			if p.GetInstanceId() == "" {
				page.Free++
				continue
			}
			row.Used++
			page.Partitions.add(p.GetColour())
			if p.GetColour().GetColour() == typev1.Colour_COLOUR_RED {
				row.Red++
			}
		}
		if has(r, c.GetColour()) {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b computerRow) int {
		return cmp.Or(cmp.Compare(rank(a.GetColour()), rank(b.GetColour())), cmp.Compare(b.Red, a.Red), cmp.Compare(a.GetName(), b.GetName()))
	})
	page.Rows, page.Pages = cut(rows, r, pageSize)
	v := view{Title: "Fleet", Section: "fleet", Name: "fleet", Topic: "fleet", Colour: worst(page.Trees, page.Computers)}
	if page.WithReleases = len(page.Rows) <= withReleases; page.WithReleases {
		each(page.Rows, func(i int, row computerRow) {
			answer, err := s.Fleet.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: row.GetName()})
			if err == nil {
				page.Rows[i].Releases = answer.GetSoftware()
			}
		})
	}
	v.Page = page
	return v, nil
}

// worst colour of all, for the document's title.
func worst(of ...tally) string {
	found := ""
	for _, t := range of {
		switch {
		case t.Red > 0:
			return "red"
		case t.Orange > 0:
			found = "orange"
		case t.Green > 0:
			found = cmp.Or(found, "green")
		}
	}
	return found
}

// load is the fullest of what the instances of a computer reserved of it.
func load(c *masterv1.Computer) string {
	reserved := c.GetReserved()
	if reserved == nil {
		return ""
	}
	fullest, what := 0.0, ""
	for _, part := range []struct {
		name      string
		used, has float64
	}{
		{"CPU", float64(reserved.GetMilliCpus()) / 1000, float64(c.GetCpus())},
		{"memory", float64(reserved.GetMemoryBytes()), float64(c.GetCapacity().GetMemoryBytes())},
		{"disk", float64(reserved.GetDiskBytes()), float64(c.GetCapacity().GetDiskBytes())},
	} {
		if part.has > 0 && part.used/part.has > fullest {
			fullest, what = part.used/part.has, part.name
		}
	}
	if what == "" {
		return ""
	}
	return percent(fullest) + " " + what
}

func (s *Site) computerPage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	name := r.PathValue("name")
	answer, err := s.Fleet.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: name})
	if err != nil {
		return view{}, err
	}
	software, err := s.Fleet.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: name})
	if err != nil {
		return view{}, err
	}
	c := answer.GetComputer()
	v := view{Title: name, Section: "fleet", Name: "computer", Topic: "fleet", Colour: colourOf(c.GetColour()).Class}
	facts := why.Facts{Computer: c, Software: map[string][]*masterv1.Software{name: software.GetSoftware()}}
	ask.Node(ctx, s.Fleet.Services, &facts)
	v.Unknown = facts.Silent
	next := map[string]*schedulerv1.AgendaEntry{}
	agenda, err := s.Fleet.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{Computer: name})
	v.Unknown = unknown(v.Unknown, "the next runs", "svc-scheduler", err)
	for _, e := range agenda.GetEntries() {
		next[e.GetPartition()] = e
	}
	partitions := slices.Clone(c.GetPartitions())
	slices.SortStableFunc(partitions, func(a, b *masterv1.Partition) int {
		return cmp.Or(cmp.Compare(rank(a.GetColour()), rank(b.GetColour())), cmp.Compare(free(a), free(b)))
	})
	page := struct {
		*masterv1.Computer
		Story      why.Story
		Software   []*masterv1.Software
		Next       map[string]*schedulerv1.AgendaEntry
		Partitions []*masterv1.Partition
		Pages      pages
		Load       string
	}{
		Computer: c, Software: software.GetSoftware(), Next: next, Load: load(c),
		Story: why.Of(facts, now),
	}
	page.Partitions, page.Pages = cut(partitions, r, pageSize)
	v.Page = page
	return v, nil
}

func free(p *masterv1.Partition) int {
	if p.GetInstanceId() == "" {
		return 1
	}
	return 0
}
