package command

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/console/word"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/vow/internal/client"
)

// allocationID is what svc-master calls an allocation.
var allocationID = regexp.MustCompile(`^t[0-9a-z]{12}\.a[0-9]+$`)

// newPromise is `vow promise`: what is promised, what became of it, and what is known to be bad.
func newPromise(s *session) *cobra.Command {
	promise := &cobra.Command{
		Use: "promise", GroupID: "look", Short: "Look at promises: verdicts, values over time, mutes",
		Long: "Look at promises: verdicts, values over time, mutes.\n\nAn instance is named by its tree (the root), TREE/TITLE, or the id of its allocation.",
	}
	promise.AddCommand(newPromiseRun(s), newPromiseNew(s), newPromiseModules(s), newPromiseList(s), newPromiseHistory(s), newPromiseMute(s), newPromiseUnmute(s), newPromiseMutes(s))
	return promise
}

func newPromiseList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list INSTANCE", Short: "Show the promises of an instance",
		Example: "  vow promise list hello\n  vow promise list hello/web\n  vow promise list t0123456789ab.a1 -o json",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				allocation, err := allocation(ctx, f, args[0])
				if err != nil {
					return err
				}
				response, err := f.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: allocation})
				if err != nil {
					return fmt.Errorf("cannot list the promises of %q: %w", args[0], err)
				}
				if s.json() {
					return s.message(response)
				}
				if len(response.GetPromises()) == 0 {
					fmt.Fprintf(s.out, "no promise of %s was heard of yet; `vow tree` lists the other instances of its tree\n", args[0])
					return nil
				}
				return printPromises(s, response.GetPromises(), time.Now())
			})
		},
	}
}

// allocation finds the allocation of an instance that is named by its tree, TREE/TITLE, or its own id.
func allocation(ctx context.Context, f *client.Fleet, name string) (string, error) {
	if allocationID.MatchString(name) {
		return name, nil
	}
	of, title, inside := strings.Cut(name, "/")
	tree, err := getTree(ctx, f, of)
	if err != nil {
		return "", err
	}
	var titles []string
	for _, i := range tree.GetInstances() {
		if (!inside && i.GetTitle() == tree.GetTitle()) || (inside && i.GetTitle() == title) {
			return allocated(i, name)
		}
		titles = append(titles, i.GetTitle())
	}
	return "", fmt.Errorf("cannot find instance %q: tree %s has %s", name, tree.GetTitle(), strings.Join(titles, ", "))
}

func allocated(i *masterv1.Instance, name string) (string, error) {
	if i.GetAllocationId() == "" {
		if i.GetHostId() != "" {
			return "", fmt.Errorf("cannot look at the promises of %q: it is a shared instance; its host is %s", name, i.GetHostId())
		}
		return "", fmt.Errorf("cannot look at the promises of %q: it is in no partition: %s", name, i.GetUnallocatedReason())
	}
	return i.GetAllocationId(), nil
}

// completePromises offers instances, then the promises of the one that was typed.
func (s *session) completePromises(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 && !strings.Contains(prefix, "/") {
		return s.completeTrees(c, args, prefix)
	}
	if len(args) != 1 {
		return s.completeThing(c, args, prefix)
	}
	var names []string
	_ = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
		id, err := allocation(ctx, f, args[0])
		if err == nil {
			names, err = promisesOf(ctx, f, id)
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// promisesOf are the names of the promises that were heard of in an allocation.
func promisesOf(ctx context.Context, f *client.Fleet, allocation string) ([]string, error) {
	response, err := f.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: allocation})
	names := make([]string, 0, len(response.GetPromises()))
	for _, p := range response.GetPromises() {
		names = append(names, p.GetVerdict().GetPromise())
	}
	return names, err
}

func printPromises(s *session, promises []*promisev1.PromiseStatus, now time.Time) error {
	rows := [][]string{{"PROMISE", "KIND", "STATE", "SINCE", "SENSED", "NEXT", "VALUE", "MESSAGE"}}
	var crimes []string
	for _, p := range promises {
		v := p.GetVerdict()
		rows = append(rows, []string{
			v.GetPromise(), human.Word(p.GetKind(), "PROMISE_KIND_"), word.Verdict(v), age(v.GetSince(), now), age(p.GetAt(), now), until(p.GetNext(), now), number(p.Value), human.OneLine(v.GetMessage(), 80),
		})
		if m := v.GetMute(); m != nil {
			crimes = append(crimes, fmt.Sprintf("%s is muted until %s by %s: %s", v.GetPromise(), clock(m.GetUntil()), m.GetBy(), m.GetReason()))
		}
		for _, crime := range p.GetCrimes() {
			crimes = append(crimes, fmt.Sprintf("%s commits a monitoring crime: %s", v.GetPromise(), human.OneLine(crime, 200)))
		}
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	for _, crime := range crimes {
		fmt.Fprintln(s.out, crime)
	}
	return nil
}

// number formats a value that may be missing.
func number(v *float64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'g', 6, 64)
}

// clock is a time for people on this machine.
func clock(t *timestamppb.Timestamp) string {
	return t.AsTime().Local().Format("2006-01-02 15:04 MST") //nolint:gosmopolitan // people read their own clock
}

// moment reads a time that a person typed: RFC 3339, a day, or how long ago or ahead.
func moment(flag, text string, now time.Time, ahead bool) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			text = strconv.Itoa(24*n) + "h"
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		if ahead {
			return now.Add(d), nil
		}
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil { //nolint:gosmopolitan // people type their own days
		return t, nil
	}
	return time.Time{}, usageError{fmt.Errorf("cannot read --%s %q: want 2026-03-01, 2026-03-01T12:00:00Z, or a span as 90m or 7d", flag, text)}
}
