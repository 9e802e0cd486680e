//go:build race

package model_test

// defaultSeeds under the race detector: it makes everything ten times slower, and one goroutine per world races with nobody.
const defaultSeeds = 100
