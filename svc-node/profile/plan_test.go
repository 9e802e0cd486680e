package profile

import (
	"strings"
	"testing"
)

func plan(t *testing.T, source string, installed []Installed) string {
	t.Helper()
	steps, err := PlanParts(resolve(t, source, nil), installed, func(recipe string) (int, bool, bool) {
		return 1, recipe == "updating", recipe == "plain" || recipe == "updating"
	}, []string{"plain", "updating"})
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, s := range steps {
		all = append(all, string(s.Action)+" "+s.Name+" ("+s.Reason+")")
	}
	return strings.Join(all, "; ")
}

func record(t *testing.T, source string) []Installed {
	t.Helper()
	var all []Installed
	for _, p := range resolve(t, source, nil).Parts {
		all = append(all, Installed{Name: p.Name, Recipe: p.Recipe, Signature: 1, Options: p.Fingerprints()})
	}
	return all
}

func TestPlansFollowWhatChanged(t *testing.T) {
	before := "[buildout]\nparts = a b c\n[a]\nrecipe = plain\nx = 1\ny = 1\n[b]\nrecipe = plain\n[c]\nrecipe = updating\n"
	installed := record(t, before)
	for source, want := range map[string]string{
		before: "skip a (unchanged); skip b (unchanged); update c (unchanged, its recipe updates)",
		"[buildout]\nparts = a c\n[a]\nrecipe = plain\nx = 2\nz = 1\n[c]\nrecipe = plain\n": "uninstall b (no longer in the profile); reinstall a (changed: x, y, z); reinstall c (changed: recipe)",
		"[buildout]\nparts = d\n[d]\nrecipe = plain\n":                                      "uninstall c (no longer in the profile); uninstall b (no longer in the profile); uninstall a (no longer in the profile); install d (new)",
		"[buildout]\nparts = d\n[d]\nrecipe = plian\n":                                      `instance.cfg:4: [d] recipe: cannot install this part: the recipe plian is not built in (docs/recipes.md lists those that are); did you mean "plain"?`,
	} {
		if got := plan(t, source, installed); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	installed[0].Signature = 0
	if got := plan(t, before, installed); !strings.HasPrefix(got, "reinstall a (the recipe itself changed)") {
		t.Errorf("got %s", got)
	}
}

func TestRecordsTellNoSecrets(t *testing.T) {
	for _, p := range record(t, "[buildout]\nparts = a\n[a]\nrecipe = plain\npassword = hunter2\n") {
		for _, f := range p.Options {
			if strings.Contains(f, "hunter2") || len(f) != 32 {
				t.Errorf("the record keeps %q", f)
			}
		}
	}
}
