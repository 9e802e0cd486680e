package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

func newPromiseMute(s *session) *cobra.Command {
	var untilText, reason string
	early := false
	command := &cobra.Command{
		Use: "mute INSTANCE PROMISE", Short: "Acknowledge a known-bad promise until a date: it does not bang and fails no run",
		Example: "  vow promise mute hello disk --until 7d --reason 'the disk is on order'",
		Args:    arguments(cobra.ExactArgs(2)), ValidArgsFunction: s.completePromises,
		RunE: func(c *cobra.Command, args []string) error {
			if untilText == "" || reason == "" {
				return usageError{errors.New("cannot mute without --until and --reason: somebody will ask")}
			}
			end, err := moment("until", untilText, time.Now(), true)
			if err != nil {
				return err
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				allocation, err := allocation(ctx, f, args[0])
				if err != nil {
					return err
				}
				known, err := promisesOf(ctx, f, allocation)
				if err != nil {
					return fmt.Errorf("cannot mute %s of %q: %w", args[1], args[0], err)
				}
				if !early && !slices.Contains(known, args[1]) {
					return usageError{fmt.Errorf("cannot mute %s of %q: no such promise was heard of; it has %s; --early mutes it all the same", args[1], args[0], cmp.Or(strings.Join(known, ", "), "none"))}
				}
				response, err := f.Promises.MutePromise(ctx, &promisev1.MutePromiseRequest{
					AllocationId: allocation, Promise: args[1], Until: timestamppb.New(end), Reason: reason, By: whoami(),
				})
				if err != nil {
					return fmt.Errorf("cannot mute %s of %q: %w", args[1], args[0], err)
				}
				if s.json() {
					return s.message(response)
				}
				fmt.Fprintf(s.out, "%s of %s is muted until %s\n", args[1], args[0], clock(response.GetMute().GetUntil()))
				return nil
			})
		},
	}
	command.Flags().StringVar(&untilText, "until", "", "when it ends: a `date`, a time, or a span as 90m or 7d; at most a year")
	command.Flags().StringVar(&reason, "reason", "", "why, for people")
	command.Flags().BoolVar(&early, "early", false, "also a promise that was not heard of yet, which the next run may bring")
	return command
}

func newPromiseUnmute(s *session) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "unmute INSTANCE PROMISE", Short: "End a mute now",
		Args: arguments(cobra.ExactArgs(2)), ValidArgsFunction: s.completePromises,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				allocation, err := allocation(ctx, f, args[0])
				if err != nil {
					return err
				}
				response, err := f.Promises.UnmutePromise(ctx, &promisev1.UnmutePromiseRequest{AllocationId: allocation, Promise: args[1], Reason: reason, By: whoami()})
				if err != nil {
					return fmt.Errorf("cannot unmute %s of %q: %w", args[1], args[0], err)
				}
				if s.json() {
					return s.message(response)
				}
				fmt.Fprintf(s.out, "%s of %s is no longer muted\n", args[1], args[0])
				return nil
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for people")
	return command
}

func newPromiseMutes(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "mutes [INSTANCE]", Short: "Show what is muted, and who muted and unmuted what",
		Args: arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				request := &promisev1.ListMutesRequest{}
				if len(args) == 1 {
					id, err := allocation(ctx, f, args[0])
					if err != nil {
						return err
					}
					request.AllocationId = id
				}
				response, err := f.Promises.ListMutes(ctx, request)
				if err != nil {
					return fmt.Errorf("cannot list mutes: %w", err)
				}
				if s.json() {
					return s.message(response)
				}
				return printMutes(s, response)
			})
		},
	}
}

func printMutes(s *session, response *promisev1.ListMutesResponse) error {
	rows := [][]string{{"ALLOCATION", "PROMISE", "UNTIL", "BY", "REASON"}}
	for _, m := range response.GetMutes() {
		rows = append(rows, []string{m.GetAllocationId(), m.GetPromise(), clock(m.GetMute().GetUntil()), m.GetMute().GetBy(), human.OneLine(m.GetMute().GetReason(), 80)})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	rows = [][]string{{"WHEN", "BY", "WHAT", "ALLOCATION", "PROMISE", "REASON"}}
	for _, a := range response.GetActs() {
		what := "unmuted"
		if a.GetMute().GetUntil() != nil {
			what = "muted until " + clock(a.GetMute().GetUntil())
		}
		rows = append(rows, []string{clock(a.GetMute().GetAt()), a.GetMute().GetBy(), what, a.GetAllocationId(), a.GetPromise(), human.OneLine(a.GetMute().GetReason(), 80)})
	}
	return table(s.out, rows)
}
