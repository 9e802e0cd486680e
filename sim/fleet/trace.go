package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/telemetry/story"
)

// Trace draws the trace of the newest bang of a tree, and of the runs that link to it. What is wrong with its shape is an
// error: a story has one root and no orphans.
func (f *Fleet) Trace(ctx context.Context, title string) (string, error) {
	t, err := f.Operator.Tree(ctx, title)
	if err != nil {
		return "", err
	}
	bangs, err := f.Operator.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: t.GetTreeId(), PageSize: 1000})
	if err != nil {
		return "", err
	}
	if len(bangs.GetBangs()) == 0 {
		return "", fmt.Errorf("cannot draw a trace: %s has no bang", title)
	}
	newest := slices.MaxFunc(bangs.GetBangs(), func(a, b *masterv1.Bang) int { return cmp.Compare(a.GetNumber(), b.GetNumber()) })
	_, trace, _ := strings.Cut(newest.GetTrace().GetTraceparent(), "-")
	trace, _, _ = strings.Cut(trace, "-")
	all := story.Assemble(f.Recorder.Spans())
	one := all[trace]
	if one == nil {
		return "", fmt.Errorf("cannot draw a trace: no span of trace %s of bang %s", trace, newest.GetBangId())
	}
	text := one.Draw()
	linked := map[string]int{}
	for id, other := range all {
		if id == trace {
			continue
		}
		for _, s := range other.Spans() {
			if slices.ContainsFunc(s.Links, func(l story.Link) bool { return l.Trace == trace }) {
				linked[fmt.Sprintf("linked from a trace of its own: %s (%s), cause %s, attempt %s", s.Name, s.Service, s.Attributes[string(conv.RunCause)], s.Attributes[string(conv.RunAttempt)])]++
			}
		}
	}
	var lines []string
	for line, count := range linked {
		if count > 1 {
			line += fmt.Sprintf(" ×%d", count)
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	return text + strings.Join(lines, ""), nil
}

// Orphans lists spans whose parent nobody exported.
func (f *Fleet) Orphans() []string {
	var lines []string
	for _, t := range story.Assemble(f.Recorder.Spans()) {
		for _, o := range t.Orphans {
			lines = append(lines, fmt.Sprintf("%s (%s)", o.Span.Name, o.Span.Service))
		}
	}
	slices.Sort(lines)
	return fold(lines)
}
