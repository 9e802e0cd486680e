package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vow-os/vow/vow/internal/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/why"
)

// Bounds of what `vow why` asks: a tree of a thousand red members has few causes.
const (
	whyComputers = 16
	whyMembers   = 8
	whyBangs     = 100
)

// newWhy is `vow why`: the cause of a colour in its first line.
func newWhy(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "why THING", GroupID: "look", Short: "Say why a tree, an instance, a partition or a computer is red, what was tried, and what comes next",
		Long: "Say why a tree, an instance, a partition or a computer has its colour: the cause in the first line, then the rule, the promises that fail,\n" +
			"what was tried, what comes next and when.\n\nTHING is a tree (title or id), TREE/TITLE, the id of an instance or allocation, a computer, or COMPUTER/PARTITION; a tree comes before a computer of the same name.",
		Example: "  vow why hello\n  vow why hello/web\n  vow why laptop/slappart0\n  vow why laptop -o json",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeThings,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				facts, err := gather(ctx, f, args[0])
				if err != nil {
					if rpc.IsUnavailable(err) {
						return fmt.Errorf("svc-master does not answer at %s, so no colour is known; nodes keep services and promises by themselves meanwhile: %w", f.Endpoints.Master, err)
					}
					return err
				}
				now := time.Now()
				story := why.Of(facts, now)
				if s.json() {
					return s.object(story)
				}
				return printStory(s.out, story, now)
			})
		},
	}
}

// gather asks the services about a thing. What svc-scheduler and svc-promise do not answer is noted; without svc-master there is no answer.
func gather(ctx context.Context, f *client.Fleet, name string) (why.Facts, error) {
	tree, instance, err := findInTree(ctx, f, name)
	if err == nil {
		facts := why.Facts{Tree: tree, Instance: instance}
		return facts, aboutTree(ctx, f, &facts)
	}
	if !rpc.IsNotFound(err) || treeID.MatchString(name) {
		return why.Facts{}, err
	}
	return onComputer(ctx, f, name)
}

// findInTree finds a tree, and the instance in it that is meant; empty = the whole tree.
func findInTree(ctx context.Context, f *client.Fleet, name string) (*masterv1.Tree, string, error) {
	of, title, inside := strings.Cut(name, "/")
	tree, err := getTree(ctx, f, of)
	if err != nil {
		return nil, "", err
	}
	if !inside {
		for _, i := range tree.GetInstances() {
			if name == i.GetInstanceId() || name == i.GetAllocationId() {
				return tree, i.GetInstanceId(), nil
			}
		}
		return tree, "", nil
	}
	var titles []string
	for _, i := range tree.GetInstances() {
		if i.GetTitle() == title {
			return tree, i.GetInstanceId(), nil
		}
		titles = append(titles, i.GetTitle())
	}
	return nil, "", fmt.Errorf("cannot find instance %q: tree %s has %s", name, tree.GetTitle(), strings.Join(titles, ", "))
}

// onComputer asks about a computer, or about what one of its partitions holds.
func onComputer(ctx context.Context, f *client.Fleet, name string) (why.Facts, error) {
	of, partition, inside := strings.Cut(name, "/")
	response, err := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: of})
	if rpc.IsNotFound(err) {
		return why.Facts{}, fmt.Errorf("cannot find %q: there is no tree and no computer of that name; `vow status` lists both", of)
	}
	if err != nil {
		return why.Facts{}, fmt.Errorf("cannot get computer %q: %w", of, err)
	}
	facts := why.Facts{Computer: response.GetComputer(), Software: map[string][]*masterv1.Software{}}
	if !inside {
		software, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: of})
		if err != nil {
			return facts, fmt.Errorf("cannot list the software of %q: %w", of, err)
		}
		facts.Software[of] = software.GetSoftware()
		return facts, nil
	}
	for _, p := range response.GetComputer().GetPartitions() {
		if p.GetName() != partition {
			continue
		}
		if p.GetInstanceId() == "" {
			return why.Facts{}, fmt.Errorf("cannot say why %q has a colour: it is free, and has none", name)
		}
		tree, instance, err := findInTree(ctx, f, p.GetInstanceId())
		if err != nil {
			return facts, err
		}
		facts = why.Facts{Tree: tree, Instance: instance}
		return facts, aboutTree(ctx, f, &facts)
	}
	return why.Facts{}, fmt.Errorf("cannot find partition %q: `vow computer %s` lists them", name, of)
}

// aboutTree asks what is known of the members that are not well, and of where they are.
func aboutTree(ctx context.Context, f *client.Fleet, facts *why.Facts) error {
	facts.Computers, facts.Software = map[string]*masterv1.Computer{}, map[string][]*masterv1.Software{}
	facts.Promises, facts.Agenda = map[string][]*promisev1.PromiseStatus{}, map[string]*schedulerv1.AgendaEntry{}
	members := 0
	for _, i := range facts.Tree.GetInstances() {
		if facts.Instance != "" && facts.Instance != i.GetInstanceId() || i.GetComputer() == "" {
			continue
		}
		if err := aboutComputer(ctx, f, facts, i.GetComputer()); err != nil {
			return err
		}
		red := i.GetStatus().GetColour().GetColour() == typev1.Colour_COLOUR_RED
		if (red || facts.Instance != "") && members < whyMembers {
			members++
			aboutMember(ctx, f, facts, i)
		}
	}
	bangs, err := f.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: facts.Tree.GetTreeId(), PageSize: whyBangs})
	if err != nil {
		return fmt.Errorf("cannot list the bangs of %q: %w", facts.Tree.GetTitle(), err)
	}
	facts.Bangs = bangs.GetBangs()
	list, err := f.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: facts.Tree.GetTreeId(), PageSize: 1})
	if err != nil {
		return fmt.Errorf("cannot list the convergences of %q: %w", facts.Tree.GetTitle(), err)
	}
	if len(list.GetConvergences()) > 0 {
		facts.Convergence = list.GetConvergences()[0]
	}
	return nil
}

// aboutComputer asks about one that is not known yet, as long as they are few.
func aboutComputer(ctx context.Context, f *client.Fleet, facts *why.Facts, name string) error {
	if facts.Computers[name] != nil || len(facts.Computers) == whyComputers {
		return nil
	}
	response, err := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: name})
	if err != nil {
		return fmt.Errorf("cannot get computer %q: %w", name, err)
	}
	facts.Computers[name] = response.GetComputer()
	software, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: name})
	if err != nil {
		return fmt.Errorf("cannot list the software of %q: %w", name, err)
	}
	facts.Software[name] = software.GetSoftware()
	return nil
}

// aboutMember asks svc-promise and svc-scheduler about one instance; what they do not answer is noted once.
func aboutMember(ctx context.Context, f *client.Fleet, facts *why.Facts, i *masterv1.Instance) {
	promises, err := f.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: i.GetAllocationId()})
	facts.Promises[i.GetAllocationId()] = promises.GetPromises()
	noteSilent(facts, err, "svc-promise at "+f.Endpoints.Promise, "the promises")
	entry, err := f.Agenda.GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: i.GetComputer(), Partition: i.GetPartition()})
	facts.Agenda[i.GetAllocationId()] = entry.GetEntry()
	noteSilent(facts, err, "svc-scheduler at "+f.Endpoints.Scheduler, "the next runs")
}

func noteSilent(facts *why.Facts, err error, who, what string) {
	if err == nil || rpc.IsNotFound(err) {
		return
	}
	text := what + ": " + who + " did not answer"
	if !rpc.IsUnavailable(err) && !errors.Is(err, context.DeadlineExceeded) {
		text = what + ": " + who + ": " + human.OneLine(err.Error(), 200)
	}
	for _, noted := range facts.Silent {
		if noted == text {
			return
		}
	}
	facts.Silent = append(facts.Silent, text)
}

// printStory writes the cause first: whoever is woken at night may stop reading there.
func printStory(w io.Writer, story why.Story, now time.Time) error {
	state := "has no colour"
	if story.Colour != "none" {
		state = "is " + story.Colour
	}
	if story.Since != nil {
		state += " for " + human.Span(now.Sub(*story.Since))
	}
	if story.Unconfirmed {
		state += " (unconfirmed: the control plane has just started)"
	}
	fmt.Fprintf(w, "%s %s: %s\n", story.Thing, state, story.Cause)
	rows := [][]string{}
	add := func(label string, lines ...string) {
		for _, line := range lines {
			if line != "" {
				rows = append(rows, []string{"  " + label, line})
				label = ""
			}
		}
	}
	if !strings.Contains(story.Cause, story.Rule) {
		add("rule", human.OneLine(story.Rule, 300))
	}
	for _, m := range story.Members {
		if m.Place != "" {
			add("where", m.Title+" on "+m.Place)
		}
		if m.Cause != "" && !strings.HasSuffix(story.Cause, m.Cause) {
			add("cause", m.Title+": "+m.Cause)
		}
		add("promises", m.Promises...)
		add("tried", m.Tried)
		add("next", m.Next)
	}
	add("bangs", story.Bangs...)
	add("conditions", story.Conditions...)
	add("not known", story.Unknown...)
	add("look", story.Look...)
	if err := table(w, rows); err != nil {
		return err
	}
	for _, m := range story.Members {
		if m.Error != "" {
			fmt.Fprintf(w, "\nerror of %s, in full:\n%s\n", m.Title, indent(m.Error))
		}
	}
	return nil
}

// completeThings offers trees and computers to the shell.
func (s *session) completeThings(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	trees, _ := s.completeTrees(c, args, prefix)
	computers, _ := s.completeComputers(c, args, prefix)
	return append(trees, computers...), cobra.ShellCompDirectiveNoFileComp
}
