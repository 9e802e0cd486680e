//go:build race

package fleet_test

// dayHours is how long the day is: the race detector makes everything some ten times slower.
const dayHours = 1
