package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/console/ask"
	"github.com/vow-os/vow/console/why"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
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
				facts, err := ask.About(ctx, services(f), args[0])
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

// services is whom package ask asks.
func services(f *client.Fleet) ask.Services {
	return ask.Services{
		SchedulerAddress: f.Endpoints.Scheduler, PromiseAddress: f.Endpoints.Promise,
		Computers: f.Computers, Software: f.Software, Trees: f.Trees, Bangs: f.Bangs, Convergences: f.Convergences, Links: f.Links, Agenda: f.Agenda, Promises: f.Promises,
	}
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
