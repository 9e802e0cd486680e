package check

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	rulesDir = "tilt/observability/rules"
	runbook  = "docs/operations.md"
)

var (
	alertRule = regexp.MustCompile(`(?m)^\s*- alert: (\w+)$`)
	// expected is an expectation of a promtool unit test, in one line or in several; with "[]" it is that the alert does not fire.
	expected    = regexp.MustCompile(`alertname: (\w+),?\s+exp_alerts:( \[\])?`)
	runbookLink = regexp.MustCompile(`runbook_url: (\S+)`)
)

// alerts wants of each alert of Prometheus a section of the runbook, to which it links, and a unit test in which it fires and one in which it does not; and of each
// section about an alert that there is one.
func alerts(r *Repository) (found []Finding) {
	page, _ := fs.ReadFile(r.FS, runbook)
	var all []string
	for _, p := range r.Paths {
		if path.Dir(p) != rulesDir || path.Ext(p) != ".yaml" {
			continue
		}
		rules, err := fs.ReadFile(r.FS, p)
		tests, _ := fs.ReadFile(r.FS, path.Join(rulesDir, "tests", path.Base(p)))
		if err != nil {
			return []Finding{{Path: p, Message: fmt.Sprintf("cannot read it: %v", err)}}
		}
		places := alertRule.FindAllSubmatchIndex(rules, -1)
		for i, place := range places {
			name, end := string(rules[place[2]:place[3]]), len(rules)
			if i+1 < len(places) {
				end = places[i+1][0]
			}
			all = append(all, name)
			line := 1 + strings.Count(string(rules[:place[2]]), "\n")
			complain := func(message string) { found = append(found, Finding{p, line, message}) }
			if !strings.Contains(string(page), "\n### "+name+"\n") {
				complain(fmt.Sprintf("%s has no section for %s", runbook, name))
			}
			want := runbook + "#" + strings.ToLower(name)
			if link := runbookLink.FindSubmatch(rules[place[0]:end]); link == nil || string(link[1]) != want {
				complain(fmt.Sprintf("the runbook_url of %s must be %s", name, want))
			}
			fires, rests := false, false
			for _, one := range expected.FindAllSubmatch(tests, -1) {
				fires, rests = fires || string(one[1]) == name && len(one[2]) == 0, rests || string(one[1]) == name && len(one[2]) > 0
			}
			if !fires || !rests {
				complain(fmt.Sprintf("%s/tests/%s must have %s fire once, and once not", rulesDir, path.Base(p), name))
			}
		}
	}
	for i, line := range strings.Split(string(page), "\n") {
		if name, ok := strings.CutPrefix(line, "### Vow"); ok && !slices.Contains(all, "Vow"+name) {
			found = append(found, Finding{runbook, i + 1, fmt.Sprintf("no alert of %s is called Vow%s", rulesDir, name)})
		}
	}
	return found
}
