package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/svc-node/profile"
)

// What a real buildout finds and leaves in a partition, as slapgrid does it.
const (
	buildoutName      = "buildout.cfg"
	buildoutInstalled = ".installed.cfg"
	// buildoutInRelease is where a release brings its own.
	buildoutInRelease = "bin/buildout"
	// buildoutMode keeps what is in the profile, passwords too, from other users.
	buildoutMode = 0o640
)

// Execute is the action of a part that stands for everything a real buildout does; such a part is named "buildout".
const Execute profile.Action = "run"

// realBuildout is the executable that can run what is not built in: the release's own, or the node's; empty = none.
func (r *run) realBuildout() string {
	if release := r.stage.reader; release != nil {
		if info, err := release.Stat(buildoutInRelease); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path.Join(r.stage.release, buildoutInRelease)
		}
	}
	return r.partition.Buildout
}

// buildout has a real buildout run the partition's profile; why is the error that says what is not built in. Parts that
// our recipes installed are uninstalled first, as buildout does with parts that it no longer finds.
func (r *run) buildout(ctx context.Context, executable string, source []byte, why error) error {
	r.stage.clear()
	for _, part := range slices.Backward(slices.Clone(r.now.Profiles[""])) {
		report := PartReport{PartStart: PartStart{Name: part.Name, Recipe: part.Recipe, Action: profile.Uninstall, Reason: "a real buildout runs the profile from now on"}}
		report.Changed = r.uninstall("", part.Name)
		r.result.Parts = append(r.result.Parts, report)
	}
	if err := r.commit(true); err != nil {
		return err
	}
	start := PartStart{Name: "buildout", Action: Execute, Reason: why.Error()}
	if r.observer != nil {
		ctx = r.observer.PartStarted(ctx, start)
	}
	began := time.Now()
	report := PartReport{PartStart: start}
	report.Changed, report.Err = r.execute(ctx, executable, source)
	report.Duration = time.Since(began)
	r.result.Parts = append(r.result.Parts, report)
	r.result.Changed = r.result.Changed || report.Changed
	if r.observer != nil {
		r.observer.PartDone(ctx, report)
	}
	if report.Err != nil {
		return &PartError{Part: start.Name, Err: report.Err}
	}
	return nil
}

// execute writes buildout.cfg and runs the buildout. What it changed is told by its own record.
func (r *run) execute(ctx context.Context, executable string, source []byte) (changed bool, err error) {
	content := append(bytes.TrimRight(source, "\n"), r.tail()...)
	before, err := r.stage.root.ReadFile(buildoutName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("cannot read %s: %w", buildoutName, unwrapPath(err))
	}
	changed = !bytes.Equal(before, content)
	if r.peek {
		r.commands = append(r.commands, executable+" -U -c "+buildoutName)
		if changed {
			action := "replace"
			if err != nil {
				action = "create"
			}
			r.files = append(r.files, FileChange{Path: buildoutName, Part: "buildout", Action: action, Diff: lineDiff(string(before), string(content))})
		}
		return changed, nil
	}
	if changed {
		if err := writeWhole(r.stage.root, buildoutName, content, buildoutMode); err != nil {
			return false, fmt.Errorf("cannot write %s: %w", buildoutName, unwrapPath(err))
		}
	}
	was, _ := r.stage.root.ReadFile(buildoutInstalled) // absent before the first run
	if err := r.world.Execute(ctx, executable, "-U", "-c", buildoutName); err != nil {
		return true, fmt.Errorf("cannot run the profile with %s: %w", executable, err)
	}
	is, err := r.stage.root.ReadFile(buildoutInstalled)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, fmt.Errorf("cannot read %s: %w", buildoutInstalled, unwrapPath(err))
	}
	return changed || installedParts(was) != installedParts(is), nil
}

// installedParts is what .installed.cfg says of parts. Of itself, buildout adds a section at each run.
func installedParts(content []byte) string {
	var b strings.Builder
	keep := true
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "[") {
			keep = strings.TrimSpace(line) != "[buildout]"
		}
		if keep && strings.TrimSpace(line) != "" {
			b.WriteString(line)
		}
	}
	return b.String()
}

// withoutBuildout adds to an error about what is not built in what to do.
func withoutBuildout(err error) error {
	var wrong *profile.Error
	if !errors.As(err, &wrong) {
		return err
	}
	advised := *wrong
	advised.Problem += "; let the release bring a buildout, bin/buildout, or name one with svc-node --buildout"
	return &advised
}

// tail is what slapgrid appends to a profile; the last section of a name wins option by option.
func (r *run) tail() string {
	e := r.partition.Environment
	var ipv4 string
	if len(e.IPv4) > 0 {
		ipv4 = e.IPv4[0]
	}
	var b strings.Builder
	b.WriteString("\n\n# Appended at each deployment.\n")
	for _, section := range []struct {
		name    string
		options [][2]string
	}{
		{"buildout", [][2]string{{"installed", buildoutInstalled}, {"offline", "true"}, {"bin-directory", "${buildout:directory}/sbin"}}},
		{"slap-connection", [][2]string{
			{"computer-id", literal(e.ComputerID)},
			{"partition-id", literal(e.PartitionID)},
			{"server-url", literal(e.ServerURL)},
			{"software-release-url", literal(e.SoftwareReleaseURL)},
			{"key-file", ""},
			{"cert-file", ""},
			{"requested-state", literal(e.RequestedState)},
		}},
		{"storage-configuration", [][2]string{{"storage-home", ""}}},
		{"network-information", [][2]string{{"global-ipv4-network", literal(ipv4)}}},
	} {
		b.WriteString("\n[" + section.name + "]\n")
		for _, option := range section.options {
			b.WriteString(strings.TrimRight(option[0]+" = "+option[1], " ") + "\n")
		}
	}
	return b.String()
}

// literal writes a value so that buildout reads it as it is: on one line, and without references.
func literal(value string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(value), " "), "${", "$${")
}
