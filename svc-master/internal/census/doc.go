// Package census walks all trees and computers once in a while: it lets time pass for open convergences and counts colours
// for the metrics.
//
// Invariants: it decides nothing; a gauge is read from the last walk and never waits for the store.
//
// app imports it; nothing else does.
package census
