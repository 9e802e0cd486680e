package model

import (
	"maps"
	"slices"
	"strings"
)

// sortedKeys are the keys of a map in an order that is the same in every replay.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func compare(a, b string) int { return strings.Compare(a, b) }
