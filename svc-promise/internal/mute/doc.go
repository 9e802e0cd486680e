// Package mute knows which promises are muted: acts of people, kept in the store, known to every replica within PollEvery.
//
// Invariants: a mute covers its promise until its date by the clock of who asks, whether or not the store can be reached; reading takes no lock. A mute that was
// made here covers at once. While the store is away the last known mutes hold.
//
// api and app import it.
package mute
