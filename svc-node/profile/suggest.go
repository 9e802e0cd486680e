package profile

import "sort"

// Suggest returns the known name nearest to the unknown one, or "" when none is near enough to be what was
// meant: at most a third of its letters differ, and at most three.
func Suggest(unknown string, known []string) string {
	if len(unknown) > 100 {
		return ""
	}
	limit := min(3, max(1, len(unknown)/3))
	best, bestDistance := "", limit+1
	sorted := append([]string(nil), known...)
	sort.Strings(sorted)
	for _, name := range sorted {
		if len(name) > 100 || name == unknown {
			continue
		}
		if d := distance(unknown, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance with a swap of neighbours counted once.
func distance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
