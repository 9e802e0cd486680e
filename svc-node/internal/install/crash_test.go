package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// generated is a profile of up to six parts of the recipes that write files, some sharing content.
func generated(t *rapid.T, label string) string {
	var parts, sections []string
	for i := range rapid.IntRange(1, 6).Draw(t, label+"count") {
		name := fmt.Sprintf("p%d", i)
		parts = append(parts, name)
		text := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, label+"text")
		file := rapid.SampledFrom([]string{"x", "y"}).Draw(t, label+"file")
		switch rapid.IntRange(0, 5).Draw(t, label+"kind") {
		case 0:
			sections = append(sections, fmt.Sprintf("[%s]\nrecipe = slapos.cookbook:wrapper\ncommand-line = %s\nwrapper-path = ${buildout:directory}/etc/service/%s%s\n", name, text, name, file))
		case 1:
			sections = append(sections, fmt.Sprintf("[%s]\nrecipe = slapos.recipe.template\ninline = %s\noutput = ${buildout:directory}/etc/%s%s\n", name, text, name, file))
		case 2:
			sections = append(sections, fmt.Sprintf("[%s]\nrecipe = slapos.recipe.template:jinja2\ninline = {{ v }}\ncontext = raw v %s\noutput = ${buildout:directory}/etc/%s%s\n", name, text, name, file))
		case 3:
			sections = append(sections, fmt.Sprintf("[%s]\nrecipe = slapos.cookbook:generate.password\nstorage-path = ${buildout:directory}/var/%s\n", name, name))
		case 4:
			sections = append(sections, fmt.Sprintf("[%s]\nrecipe = slapos.cookbook:symbolic.link\nlink-binary = /bin/%s\ntarget-directory = ${buildout:directory}/bin/%s\n", name, text, name))
		case 5:
			sections = append(sections, fmt.Sprintf("[%s]\nrecipe = slapos.cookbook:mkdirectory\nd = ${buildout:directory}/srv/%s\n", name, text))
		}
	}
	return "[buildout]\nparts = " + strings.Join(parts, " ") + "\n" + strings.Join(sections, "")
}

// wanted lists the files of a tree that parts made: all but vow's own.
func wanted(all map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range all {
		if !strings.HasPrefix(name, ".vow") && name != releaseLink && !strings.HasPrefix(text, "d") && !strings.HasPrefix(name, "var/") {
			// Without the time, which a crash moves.
			out[name] = text[:10] + text[30:]
		}
	}
	return out
}

func TestTwoRunsOfAnyProfileChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, w := place(t, generated(rt, "first")), newFakeWorld()
		for _, label := range []string{"second", "third"} {
			run1(t, p, w)
			before := tree(t, p.Directory)
			if again := run1(t, p, w); again.Changed {
				rt.Fatalf("the second run says that it changed something: %s", actions(again.Parts))
			}
			if differs := same(before, tree(t, p.Directory)); differs != "" {
				rt.Fatalf("the second run changed %s", differs)
			}
			write(t, p, generated(rt, label))
		}
	})
}

// A commit that is cut short after any of its changes leaves a partition from which the next run gets where an
// undisturbed one does, whatever profile that is.
func TestACommitCutShortAnywhereConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first, second, third := generated(rt, "first"), generated(rt, "second"), generated(rt, "third")
		p, w := place(t, first), newFakeWorld()
		run1(t, p, w)
		write(t, p, second)
		cut := rapid.IntRange(0, 8).Draw(rt, "cut")
		cutShort(t, p, w, cut)
		write(t, p, third)
		run1(t, p, w)

		calm := place(t, third)
		run1(t, calm, newFakeWorld())
		got, want := wanted(tree(t, p.Directory)), wanted(tree(t, calm.Directory))
		for name := range want {
			want[name] = strings.ReplaceAll(want[name], calm.Directory, p.Directory)
		}
		if differs := same(got, want); differs != "" {
			rt.Fatalf("after the crash %s differs: %q, want %q", differs, got[differs], want[differs])
		}
		if again := run1(t, p, w); again.Changed {
			rt.Fatal("it has not settled")
		}
		if kept, _ := os.ReadDir(filepath.Join(p.Directory, keptName)); len(kept) > 0 {
			rt.Fatalf("our own files were taken for somebody else's: %v", kept)
		}
	})
}

// cutShort does what a run does until it has made cut changes, and no more.
func cutShort(t *testing.T, p Partition, w *fakeWorld, cut int) {
	t.Helper()
	r, err := newRun(p, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.stage.close()
	name, source, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	r.peek = true // so that commits before commands do not happen either
	if err := r.profile(t.Context(), "", name, source); err != nil {
		t.Fatal(err)
	}
	intent := *r.before
	if intent.Pending = r.stage.pending(); len(intent.Pending) > 0 {
		if err := intent.save(r.stage.root); err != nil {
			t.Fatal(err)
		}
	}
	for _, removals := range []bool{true, false} {
		for _, name := range r.stage.order {
			if e := r.stage.entries[name]; e.changed && (e.kind == aRemoval) == removals {
				if cut--; cut < 0 {
					return
				}
				if _, err := r.stage.applyOne(e); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
