//go:build !race

package fleet_test

// dayHours is how long the day is.
const dayHours = 24
