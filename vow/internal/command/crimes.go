package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newCrimes is `vow crimes`: what does not behave as a promise or a partition should, with the evidence.
func newCrimes(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "crimes [INSTANCE]", GroupID: "look", Short: "Show the monitoring crimes, with their evidence",
		Long: "Show the monitoring crimes, with their evidence: a promise sensed every minute or more often, and a promise that never passed.",
		Args: arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				request := &promisev1.ListCrimesRequest{}
				if len(args) == 1 {
					id, err := allocation(ctx, f, args[0])
					if err != nil {
						return err
					}
					request.AllocationId = id
				}
				response, err := f.Promises.ListCrimes(ctx, request)
				if err != nil {
					return fmt.Errorf("cannot list monitoring crimes: %w", err)
				}
				if s.json() {
					return s.message(response)
				}
				return printCrimes(s, response, time.Now())
			})
		},
	}
}

func printCrimes(s *session, response *promisev1.ListCrimesResponse, now time.Time) error {
	rows := [][]string{{"PARTITION", "ALLOCATION", "PROMISE", "CRIME", "SINCE", "EVIDENCE"}}
	for _, c := range response.GetCrimes() {
		rows = append(rows, []string{
			c.GetComputer() + "/" + c.GetPartition(), c.GetAllocationId(), c.GetPromise(), word(c.GetCrime(), "CRIME_"), age(c.GetSince(), now), oneLine(c.GetEvidence(), 120),
		})
	}
	if len(rows) == 1 {
		fmt.Fprintln(s.out, "no monitoring crimes")
		return nil
	}
	return table(s.out, rows)
}
