package install

import (
	"context"
	"errors"
	"strings"
	"testing"
)

type watcher struct {
	started, done []string
}

type watcherKey struct{}

func (w *watcher) PartStarted(ctx context.Context, part PartStart) context.Context {
	w.started = append(w.started, part.Name)
	return context.WithValue(ctx, watcherKey{}, part.Name)
}

func (w *watcher) PartDone(ctx context.Context, part PartReport) {
	text := part.Name + "/" + ctx.Value(watcherKey{}).(string)
	if part.Err != nil {
		text += " failed"
	}
	w.done = append(w.done, text)
}

func TestObserversAreToldOfEachPart(t *testing.T) {
	source := `[buildout]
parts = switch never
[switch]
recipe = slapos.cookbook:switch-softwaretype
default = inner:output
[inner]
recipe = slapos.recipe.template
inline =
  [buildout]
  parts = ok bad
  [ok]
  recipe = slapos.cookbook:mkdirectory
  [bad]
  recipe = plone.recipe.command
  command = false
  stop-on-error = true
output = ${buildout:directory}/inner.cfg
[never]
recipe = slapos.cookbook:mkdirectory
`
	p, w, watch := place(t, source), newFakeWorld(), &watcher{}
	w.failing["false"] = errors.New("it said no")
	result, err := Run(t.Context(), p, w, watch)
	var failed *PartError
	if !errors.As(err, &failed) || failed.Part != "bad" || !strings.Contains(err.Error(), "inner.cfg:7: [bad] command: cannot run the command: exit status 1: it said no") {
		t.Errorf("got %v", err)
	}
	if got, want := strings.Join(watch.done, ", "), "inner/inner, ok/ok, bad/bad failed, switch/switch failed"; got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
	if got, want := actions(result.Parts), "install inner, install switch, install ok, install bad"; got != want {
		t.Errorf("reported %s, want %s", got, want)
	}
	w.failing["false"] = nil
	if _, err := Run(t.Context(), p, w, nil); err != nil {
		t.Errorf("once the command works: %v", err)
	}
	if strings.Join(w.commands, ";") != "false;false" {
		t.Errorf("commands: %v", w.commands)
	}
}

func TestConnectionParametersArePublishedOnlyWhenTheyDiffer(t *testing.T) {
	p, w := place(t, "[buildout]\nparts = a\n[a]\nrecipe = slapos.cookbook:publish\nurl = one\n"), newFakeWorld()
	for _, changed := range []bool{true, false} {
		if result := run1(t, p, w); result.PublishedChanged != changed || result.Changed != changed || w.publishes != 1 {
			t.Errorf("%+v after %d publishes", result, w.publishes)
		}
	}
	write(t, p, "[buildout]\nparts = a\n[a]\nrecipe = slapos.cookbook:publish\nurl = two\n")
	if result := run1(t, p, w); !result.PublishedChanged || w.published["url"] != "two" {
		t.Errorf("%+v, published %v", result, w.published)
	}
}
