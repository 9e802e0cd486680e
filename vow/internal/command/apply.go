package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/declared"
)

// exitDiffers is how `vow diff` ends when applying the file would change something.
const exitDiffers = 3

// newApply is `vow apply`: have what a file declares.
func newApply(s *session) *cobra.Command {
	file, dry, wait := "", false, time.Duration(0)
	command := &cobra.Command{
		Use: "apply -f FILE", GroupID: "act", Short: "Have the software and the trees that a file declares",
		Long: `Have the software and the trees that a YAML file declares (docs/declared.md). What the file does not name is left alone;
something is removed by "state: destroyed". It may be applied again and again: what is as declared is not touched. A file that ended half-way
is applied again.`,
		Example: "  vow apply -f fleet.yaml --dry-run\n  vow apply -f fleet.yaml --wait 10m\n  vow export | vow apply -f -",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			declaredFile, err := s.readDeclared(c, file)
			if err != nil {
				return usageError{err}
			}
			var changes []declared.Change
			err = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				changes, err = s.planDeclared(ctx, f, declaredFile)
				return err
			})
			if err != nil {
				return err
			}
			if !s.json() {
				printChanges(s.out, changes, true)
			}
			if !dry {
				if err := s.carryOut(c.Context(), changes, wait); err != nil {
					return err
				}
			}
			if s.json() {
				return s.object(map[string]any{"changes": changes, "applied": !dry})
			}
			return nil
		},
	}
	fileFlag(command, &file)
	command.Flags().BoolVar(&dry, "dry-run", false, "only say what would change")
	command.Flags().DurationVar(&wait, "wait", 0, "wait so long until each changed release is there and each changed tree as requested")
	return command
}

// newDiff is `vow diff`: what applying a file would change.
func newDiff(s *session) *cobra.Command {
	file := ""
	command := &cobra.Command{
		Use: "diff -f FILE", GroupID: "look", Short: "Say what applying a file would change",
		Long:    fmt.Sprintf("Say what applying a file would change. Ends with 0 when nothing would, with %d when something would.", exitDiffers),
		Example: "  vow diff -f fleet.yaml",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			declaredFile, err := s.readDeclared(c, file)
			if err != nil {
				return usageError{err}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				changes, err := s.planDeclared(ctx, f, declaredFile)
				if err != nil {
					return err
				}
				if s.json() {
					err = s.object(map[string]any{"changes": changes})
				} else {
					printChanges(s.out, changes, false)
				}
				if err == nil && slices.ContainsFunc(changes, func(c declared.Change) bool { return c.Action != declared.Keep }) {
					return errExit{exitDiffers}
				}
				return err
			})
		},
	}
	fileFlag(command, &file)
	return command
}

// newExport is `vow export`: what is requested, as a file.
func newExport(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "export [TREE…]", GroupID: "look", Short: "Write what is requested as a file that vow apply takes",
		Long:    "Write what is requested as a YAML file that vow apply takes: all trees and all software, or the trees that are named and their releases.\n\nParameters are in it, and may hold secrets.",
		Example: "  vow export > fleet.yaml\n  vow export hello", ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, titles []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				now, err := exported(ctx, f, titles)
				if err != nil {
					return err
				}
				text, err := declared.Export(now)
				if err != nil {
					return err
				}
				if s.json() {
					return s.object(map[string]any{"file": string(text)})
				}
				_, err = s.out.Write(text)
				return err
			})
		},
	}
}

func fileFlag(command *cobra.Command, file *string) {
	command.Flags().StringVarP(file, "file", "f", "", "`file` to apply; - is the standard input")
	check := command.Args
	command.Args = func(c *cobra.Command, args []string) error {
		if *file == "" {
			return usageError{fmt.Errorf("cannot run %s without a file: want %s -f FILE", c.CommandPath(), c.CommandPath())}
		}
		return check(c, args)
	}
	_ = command.MarkFlagFilename("file", "yaml", "yml")
}

// readDeclared reads the file of -f. Paths in it are meant from its directory.
func (*session) readDeclared(c *cobra.Command, file string) (*declared.File, error) {
	in, name, dir := c.InOrStdin(), "standard input", "."
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read -f: %w", err)
		}
		defer func() { _ = opened.Close() }() // it was only read
		in, name, dir = opened, file, filepath.Dir(file)
	}
	data, err := io.ReadAll(io.LimitReader(in, declared.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return declared.Read(data, name, dir)
}

// planDeclared compares a file with what is requested.
func (*session) planDeclared(ctx context.Context, f *client.Fleet, file *declared.File) ([]declared.Change, error) {
	now := declared.Current{Roots: map[string]*masterv1.Instance{}}
	for i := range file.Trees {
		root, err := rootOf(ctx, f, file.Trees[i].Title)
		if err != nil {
			return nil, err
		}
		if root != nil {
			now.Roots[root.GetTitle()] = root
		}
	}
	seen := map[string]bool{}
	for i := range file.Software {
		for _, computer := range file.Software[i].Computers {
			if seen[computer] {
				continue
			}
			seen[computer] = true
			list, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: computer})
			if err != nil {
				return nil, fmt.Errorf("cannot list the software of %q: %w", computer, err)
			}
			now.Software = append(now.Software, list.GetSoftware()...)
		}
	}
	return file.Plan(now), nil
}

// rootOf a tree; nil when nobody requests it.
func rootOf(ctx context.Context, f *client.Fleet, title string) (*masterv1.Instance, error) {
	response, err := f.Trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Title{Title: title}})
	if rpc.IsNotFound(err) {
		return nil, nil //nolint:nilnil // nothing requested is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("cannot get tree %q: %w", title, err)
	}
	for _, i := range response.GetTree().GetInstances() {
		if i.GetRequesterId() == "" {
			return i, nil
		}
	}
	return nil, nil //nolint:nilnil // as above
}

// exported reads what is requested: of the named trees, or of all.
func exported(ctx context.Context, f *client.Fleet, titles []string) (declared.Current, error) {
	now := declared.Current{Roots: map[string]*masterv1.Instance{}}
	all := len(titles) == 0
	if all {
		trees, err := f.AllTrees(ctx)
		if err != nil {
			return now, err
		}
		for _, t := range trees {
			titles = append(titles, t.GetTitle())
		}
	}
	releases := map[string]bool{}
	for _, title := range titles {
		root, err := rootOf(ctx, f, title)
		switch {
		case err != nil:
			return now, err
		case root != nil:
			now.Roots[title] = root
			releases[root.GetSoftwareRelease()] = true
		case !all: // one of all that is gone since is no mistake
			return now, fmt.Errorf("cannot export tree %q: there is none of that title", title)
		}
	}
	computers, err := f.AllComputers(ctx)
	if err != nil {
		return now, err
	}
	for _, c := range computers {
		list, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: c.GetName()})
		if err != nil {
			return now, fmt.Errorf("cannot list the software of %q: %w", c.GetName(), err)
		}
		for _, r := range list.GetSoftware() {
			if all || releases[r.GetSoftwareRelease()] {
				now.Software = append(now.Software, r)
			}
		}
	}
	return now, nil
}

// carryOut does what is to be done. Everything is tried; what cannot be done is told together at the end. Then it waits.
func (s *session) carryOut(ctx context.Context, changes []declared.Change, wait time.Duration) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	var failed []error
	requested := map[string]*masterv1.Instance{}
	for _, c := range changes {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		switch {
		case c.Supply != nil:
			err = rpc.Retry(bounded, "supply software", func(ctx context.Context) error {
				_, err := f.Software.SupplySoftware(ctx, c.Supply)
				return err
			})
		case c.Request != nil:
			var response *masterv1.RequestInstanceResponse
			response, err = requestInstance(bounded, f, c.Request)
			requested[c.Name] = response.GetInstance()
		default:
			err = nil
		}
		cancel()
		if err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", c.Kind, c.Name, err))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("cannot apply all of the file; apply it again when this is mended:\n%w", errors.Join(failed...))
	}
	if wait == 0 {
		return nil
	}
	deadline := time.Now().Add(wait)
	for _, c := range changes {
		switch {
		case c.Supply != nil:
			_, err = s.awaitSoftware(ctx, f, c.Supply.GetSoftwareRelease(), c.Supply.GetComputer(), c.Supply.GetState(), time.Until(deadline))
		case c.Request != nil:
			i := requested[c.Name]
			_, err = awaitRequested(ctx, f, i, time.Until(deadline))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printChanges says what is done, thing by thing; with all, also what is as declared.
func printChanges(w io.Writer, changes []declared.Change, all bool) {
	signs := map[declared.Action]string{declared.Create: "+ create", declared.Alter: "~ change", declared.Destroy: "- destroy", declared.Keep: "= keep"}
	for _, c := range changes {
		if c.Action == declared.Keep && !all && len(c.Notes) == 0 {
			continue
		}
		fmt.Fprintf(w, "%-9s  %s %s\n", signs[c.Action], c.Kind, c.Name)
		for _, field := range c.Fields {
			switch {
			case c.Action == declared.Create || field.Old == "":
				fmt.Fprintf(w, "             %s: %s\n", field.Name, human.OneLine(field.New, 200))
			case field.New == "":
				fmt.Fprintf(w, "             %s: %s is taken away\n", field.Name, human.OneLine(field.Old, 200))
			default:
				fmt.Fprintf(w, "             %s: %s → %s\n", field.Name, human.OneLine(field.Old, 200), human.OneLine(field.New, 200))
			}
		}
		for _, note := range c.Notes {
			fmt.Fprintf(w, "             note: %s\n", strings.TrimSpace(note))
		}
	}
}
