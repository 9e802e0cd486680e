package sensor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Choose returns the promises that a person named, by title or by the name of their file; no name = all. A timeout above 0
// replaces theirs.
func Choose(promises []Promise, names []string, timeout time.Duration) ([]Promise, error) {
	var chosen []Promise
	for _, name := range names {
		if !slices.ContainsFunc(promises, func(p Promise) bool { return p.is(name) }) {
			titles := make([]string, 0, len(promises))
			for _, p := range promises {
				titles = append(titles, p.Name)
			}
			return nil, fmt.Errorf("cannot find promise %q: there are %s", name, strings.Join(titles, ", "))
		}
	}
	for _, p := range promises {
		if len(names) > 0 && !slices.ContainsFunc(names, p.is) {
			continue
		}
		if timeout > 0 {
			p.Timeout = min(timeout, MaxTimeout)
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

func (p Promise) is(name string) bool { return name == p.Name || name == filepath.Base(p.File) }
