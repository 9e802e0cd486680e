//go:build !race

package model_test

// defaultSeeds is how many seeds CI runs.
const defaultSeeds = 1000
