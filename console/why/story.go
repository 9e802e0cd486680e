package why

import (
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Facts is what the services answered about a tree or a computer.
type Facts struct {
	// Tree that is asked about, or of which Instance is; nil when a computer is asked about.
	Tree *masterv1.Tree
	// Instance is the id of the one that is asked about; empty = the whole tree.
	Instance string
	// Computer that is asked about; nil when a tree is.
	Computer *masterv1.Computer
	// Node is what the node of Computer says of itself; nil = it was not asked, or did not answer.
	Node *nodev1.GetStatusResponse
	// NodeSilent is true when it was asked over its link and did not answer.
	NodeSilent bool
	// Computers that instances of the tree are on, by name.
	Computers map[string]*masterv1.Computer
	// Software of computers, by name of the computer.
	Software map[string][]*masterv1.Software
	// Promises of instances, by allocation.
	Promises map[string][]*promisev1.PromiseStatus
	// Agenda is when partitions run next, by allocation.
	Agenda map[string]*schedulerv1.AgendaEntry
	// Bangs of the tree, newest first.
	Bangs []*masterv1.Bang
	// Convergence is the open one, or the newest; nil = none.
	Convergence *masterv1.Convergence
	// Silent names what did not answer, and what is therefore not known.
	Silent []string
}

// Story is the answer.
type Story struct {
	// Thing that was asked about, in words: `tree hello`.
	Thing string `json:"thing"`
	// Colour is Green, Orange, Red or none.
	Colour string `json:"colour"`
	// Unconfirmed is true for a Red that is due to age alone, shortly after a start of the control plane.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Since when it has its colour; nil = not known.
	Since *time.Time `json:"since,omitempty"`
	// Cause is what has to be mended, or why nothing has; one line.
	Cause string `json:"cause"`
	// Rule that gives the colour, as the service that owns it says it.
	Rule string `json:"rule,omitempty"`
	// Members that are not well, the cause's first.
	Members []Member `json:"members,omitempty"`
	// Bangs are the newest that matter, newest first.
	Bangs []string `json:"bangs,omitempty"`
	// Conditions worth telling: bang storms, publish loops, crimes.
	Conditions []string `json:"conditions,omitempty"`
	// Unknown is what could not be asked.
	Unknown []string `json:"unknown,omitempty"`
	// Look is commands that show more.
	Look []string `json:"look,omitempty"`
}

// Member is one instance that is not well, or the one that was asked about.
type Member struct {
	// Title of the instance.
	Title string `json:"title"`
	// Place is its `computer/partition`; empty when it has none.
	Place string `json:"place,omitempty"`
	// Cause in one line.
	Cause string `json:"cause"`
	// Promises that fail, with their last values.
	Promises []string `json:"promises,omitempty"`
	// Tried is the latest run, and when there was a success.
	Tried string `json:"tried,omitempty"`
	// Next is when it runs again, and why then.
	Next string `json:"next,omitempty"`
	// Error is the error of the latest run in full.
	Error string `json:"error,omitempty"`
}

// Of tells the story of what the facts are about.
func Of(f Facts, now time.Time) Story {
	if f.Computer != nil {
		return ofComputer(f, now)
	}
	return ofTree(f, now)
}

// ofTree is the story of a tree, or of one of its instances.
func ofTree(f Facts, now time.Time) Story {
	s := Story{Thing: "tree " + f.Tree.GetTitle(), Conditions: f.Tree.GetConditions(), Unknown: f.Silent}
	status := f.Tree.GetColour()
	asked := f.Tree.GetInstances()
	if i := f.instance(f.Instance); i != nil {
		s.Thing = "instance " + f.Tree.GetTitle() + "/" + i.GetTitle()
		status, asked = i.GetStatus().GetColour(), []*masterv1.Instance{i}
		if i.GetAllocationId() == "" && i.GetHostId() == "" && i.GetState() == typev1.RequestedState_REQUESTED_STATE_STARTED {
			status = &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: "not allocated"}
		}
	}
	s.colour(status)
	found := diagnoses(f, asked, now)
	for _, d := range found {
		s.Members = append(s.Members, d.member)
	}
	s.Cause = headline(f, status, found)
	s.Bangs = bangs(f, now)
	s.Look = look(f, found)
	return s
}

func (s *Story) colour(c *typev1.ColourStatus) {
	s.Colour, s.Rule, s.Unconfirmed = Colour(c.GetColour()), c.GetReason(), c.GetUnconfirmed()
	if c.GetSince() != nil {
		since := c.GetSince().AsTime()
		s.Since = &since
	}
}

// instance of the tree by its id; nil = there is none.
func (f *Facts) instance(id string) *masterv1.Instance {
	for _, i := range f.Tree.GetInstances() {
		if i.GetInstanceId() == id {
			return i
		}
	}
	return nil
}

// Colour names a colour for people.
func Colour(c typev1.Colour) string {
	switch c {
	case typev1.Colour_COLOUR_GREEN:
		return "Green"
	case typev1.Colour_COLOUR_ORANGE:
		return "Orange"
	case typev1.Colour_COLOUR_RED:
		return "Red"
	default:
		return "none"
	}
}
