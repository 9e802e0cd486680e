// Package api is the console's way to the services: the generated clients, and what pages ask that takes more than one call.
//
// Invariants: every list is bounded and says when there was more; lists of the whole fleet are asked for at most once a second, however many pages want them.
// Only console's packages import it.
package api
