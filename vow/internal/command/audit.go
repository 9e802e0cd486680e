package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/console/word"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

const (
	// auditPage is how many entries are asked for at once.
	auditPage = 500
	// followEvery is how often --follow asks.
	followEvery = time.Second
)

// audited is what the flags of `vow audit` say.
type audited struct {
	tree, computer, by, since, until string
	kinds                            []string
	limit                            int
	follow                           bool
}

// newAudit is `vow audit`: who requested, banged and changed what.
func newAudit(s *session) *cobra.Command {
	var a audited
	command := &cobra.Command{
		Use: "audit", GroupID: "look", Short: "Show who requested, banged and changed what, oldest first",
		Long: `Show who requested, banged and changed what, oldest first. What svc-master did by itself says by which part of it.

Values of parameters are never written down, only which of them changed. Who called is what the caller said of itself.`,
		Example: "  vow audit --tree hello --since 24h\n  vow audit --computer laptop --kind evicted,allocated\n  vow audit --by \"garbage collection\" -o json\n  vow audit -f",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			request, err := a.message(time.Now())
			if err != nil {
				return usageError{err}
			}
			var last string
			err = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				if request.TreeId, err = auditedTree(ctx, f, a.tree); err != nil {
					return err
				}
				entries, err := readAudit(ctx, f, request, a.limit, "")
				if err != nil {
					return err
				}
				if len(entries) > 0 {
					last = entries[len(entries)-1].GetAuditId()
				}
				return s.auditEntries(entries, true, a.follow)
			})
			if err != nil || !a.follow {
				return err
			}
			return s.followAudit(c.Context(), request, last)
		},
	}
	f := command.Flags()
	f.StringVar(&a.tree, "tree", "", "`title` or id of one tree (one that is gone by its id)")
	f.StringVar(&a.computer, "computer", "", "`name` of one computer: what happened to it and to the instances on it")
	f.StringVar(&a.by, "by", "", "who, exactly: a caller's `name`, an instance's id, or what of svc-master (placement, eviction, …)")
	f.StringVar(&a.since, "since", "", "not before this `time`: RFC 3339, or how long ago (90m, 24h)")
	f.StringVar(&a.until, "until", "", "before this `time`")
	f.StringSliceVar(&a.kinds, "kind", nil, "only these `kinds`, comma-separated: "+strings.Join(word.AuditKinds(), ", "))
	f.IntVarP(&a.limit, "limit", "n", 1000, "at most so many, the newest")
	f.BoolVarP(&a.follow, "follow", "f", false, "go on with what is written from now on")
	_ = command.RegisterFlagCompletionFunc("tree", s.completeTrees)
	_ = command.RegisterFlagCompletionFunc("computer", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return s.completeComputers(c, nil, prefix)
	})
	_ = command.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(word.AuditKinds(), cobra.ShellCompDirectiveNoFileComp))
	return command
}

// message is what the flags ask for, but for the tree.
func (a *audited) message(now time.Time) (*masterv1.ListAuditRequest, error) {
	if a.limit < 1 {
		return nil, fmt.Errorf("cannot show --limit %d entries: want 1 or more", a.limit)
	}
	if a.follow && a.until != "" {
		return nil, fmt.Errorf("cannot follow --until %s: want one of both", a.until)
	}
	request := &masterv1.ListAuditRequest{Computer: a.computer, By: a.by}
	for _, bound := range []struct {
		flag, text string
		at         **timestamppb.Timestamp
	}{{"since", a.since, &request.Since}, {"until", a.until, &request.Until}} {
		if bound.text == "" {
			continue
		}
		at, err := moment(bound.flag, bound.text, now, false)
		if err != nil {
			return nil, err
		}
		*bound.at = timestamppb.New(at)
	}
	for _, kind := range a.kinds {
		value, err := word.ReadAuditKind(kind)
		if err != nil {
			return nil, err
		}
		request.Kinds = append(request.Kinds, value)
	}
	return request, nil
}

// auditedTree is the id of a tree, which may be gone.
func auditedTree(ctx context.Context, f *client.Fleet, title string) (string, error) {
	if title == "" {
		return "", nil
	}
	tree, err := getTree(ctx, f, title)
	if err == nil {
		return tree.GetTreeId(), nil
	}
	if rpc.CodeOf(err) == rpc.CodeNotFound && treeID.MatchString(title) {
		return title, nil
	}
	return "", err
}

// readAudit reads at most limit entries that are newer than one that is known, oldest first.
func readAudit(ctx context.Context, f *client.Fleet, request *masterv1.ListAuditRequest, limit int, known string) ([]*masterv1.AuditEntry, error) {
	var entries []*masterv1.AuditEntry
	request.PageToken = ""
	for {
		request.PageSize = uint32(min(auditPage, limit-len(entries)))
		page, err := f.Audit.ListAudit(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("cannot read the audit: %w", err)
		}
		for _, e := range page.GetEntries() {
			if e.GetAuditId() == known {
				slices.Reverse(entries)
				return entries, nil
			}
			entries = append(entries, e)
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" || len(entries) >= limit {
			slices.Reverse(entries)
			return entries, nil
		}
	}
}

// followAudit writes what comes after the last entry that was written, until ctx ends.
func (s *session) followAudit(ctx context.Context, request *masterv1.ListAuditRequest, last string) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	if last == "" {
		request.Since = timestamppb.Now()
	}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		entries, err := readAudit(ctx, f, request, 100*auditPage, last)
		switch {
		case ctx.Err() != nil:
			return nil
		case rpc.IsUnavailable(err):
			s.absent(err) // it comes back
			continue
		case err != nil:
			return err
		}
		if len(entries) > 0 {
			last = entries[len(entries)-1].GetAuditId()
			request.Since = entries[len(entries)-1].GetAt() // older ones are not looked at again
		}
		if err := s.auditEntries(entries, false, true); err != nil {
			return err
		}
	}
}

// auditEntries writes entries; when more follow, JSON is one object a line.
func (s *session) auditEntries(entries []*masterv1.AuditEntry, first, following bool) error {
	switch {
	case s.json() && !following:
		return s.object(jsonMessages(entries))
	case s.json():
		for _, e := range entries {
			b, err := jsonMessage{e}.MarshalJSON()
			if err != nil {
				return fmt.Errorf("cannot write JSON: %w", err)
			}
			fmt.Fprintf(s.out, "%s\n", b)
		}
		return nil
	}
	var rows [][]string
	if first {
		rows = append(rows, []string{"AT", "BY", "WHAT", "OF", "WHERE", "DETAILS"})
	}
	for _, e := range entries {
		rows = append(rows, []string{e.GetAt().AsTime().Local().Format("2006-01-02 15:04:05.000"), word.AuditBy(e), word.AuditKind(e.GetKind()), auditOf(e), auditWhere(e), human.OneLine(word.AuditDetails(e), 300)})
	}
	return table(s.out, rows)
}

func auditOf(e *masterv1.AuditEntry) string {
	switch {
	case e.GetInstanceId() != "":
		return e.GetTitle() + " (" + e.GetInstanceId() + ")"
	case e.GetTreeId() != "":
		return e.GetTitle() + " (" + e.GetTreeId() + ")"
	}
	return e.GetComputer()
}

func auditWhere(e *masterv1.AuditEntry) string {
	if e.GetPartition() == "" {
		return "-"
	}
	return e.GetComputer() + "/" + e.GetPartition()
}
