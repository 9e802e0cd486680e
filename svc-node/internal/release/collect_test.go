package release

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCollectingKeepsWhatIsUsedAndWhatIsNoRelease(t *testing.T) {
	r := newRoot(t)
	urls := []string{}
	for range 3 {
		url := file(t, tarOf(t, profile("instance.cfg")))
		if err := r.Install(t.Context(), url, nil); err != nil {
			t.Fatal(err)
		}
		urls = append(urls, url)
	}
	strange := map[string]string{
		"not a release": strings.Repeat("a", 32), "short": strings.Repeat("b", 31), "capitals": strings.Repeat("C", 32), "a person's": "backup", "hidden": ".config",
	}
	for _, name := range strange {
		if err := os.MkdirAll(filepath.Join(r.dir, name, "content"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(r.dir, strings.Repeat("d", 32))
	if err := os.Symlink(r.Directory(urls[0]), link); err != nil {
		t.Fatal(err)
	}
	halfBuilt := filepath.Join(r.dir, strings.Repeat("e", 32))
	if err := os.MkdirAll(halfBuilt, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(halfBuilt, buildoutConfig), r.hidden(downloading, halfBuilt), r.hidden(downloading, halfBuilt) + ".json", r.hidden(downloading, r.Directory(urls[1]))} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	removed, err := r.Collect(t.Context(), urls[:2], false)
	if err != nil || len(removed) != 0 || !r.Installed(urls[2]) {
		t.Errorf("without being asked for it, %v is removed, %v", removed, err)
	}
	if exists(r.hidden(downloading, halfBuilt)) || exists(r.hidden(downloading, halfBuilt)+".json") || !exists(r.hidden(downloading, r.Directory(urls[1]))) {
		t.Errorf("the partial state of what is kept is left, and no other: %v", beside(t, r))
	}
	removed, err = r.Collect(t.Context(), urls[:2], true)
	want := []string{r.Directory(urls[2]), halfBuilt}
	slices.Sort(want)
	if slices.Sort(removed); err != nil || !slices.Equal(removed, want) {
		t.Errorf("%v is removed, want %v: %v", removed, want, err)
	}
	if !r.Installed(urls[0]) || !r.Installed(urls[1]) || !exists(link) {
		t.Error("what is used is gone")
	}
	for what, name := range strange {
		if !exists(r.dir, name, "content") {
			t.Errorf("%s is gone", what)
		}
	}
}

func TestAReleaseIsRemovedWhole(t *testing.T) {
	r := newRoot(t)
	url := file(t, tarOf(t, profile("instance.cfg"), entry{name: "eggs/a", content: "x"}))
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(r.Directory(url), "eggs"), 0o555); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Remove(t.Context(), url); err != nil || len(beside(t, r)) != 0 {
			t.Errorf("%v is left, %v", beside(t, r), err)
		}
	}
}
