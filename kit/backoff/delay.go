package backoff

import (
	"math/bits"
	"time"
)

// Jitter is the largest relative deviation of Delay from its nominal value.
const Jitter = 0.20

// Delay is the growing delay before attempt number attempt+1, after attempt failures in a row
// (docs/rules.md, "growing delay"): first × 2^(attempt-1), at most limit, with a jitter of ±20 % taken from
// (id, attempt).
//
// attempt counts from 1; smaller values count as 1. The jitter applies after the cap, so that things that failed
// together do not meet again at the cap: the result is within [0.8, 1.2] × min(first × 2^(attempt-1), limit).
// A first of zero or less gives zero.
func Delay(attempt int, id string, first, limit time.Duration) time.Duration {
	nominal := Nominal(attempt, first, limit)
	if nominal <= 0 {
		return 0
	}
	// 2^64/φ spreads consecutive attempts of one id over the whole range.
	h := mix(Hash(id) + uint64(max(attempt, 1))*0x9e3779b97f4a7c15)
	spread := fraction(h, uint64(float64(nominal)*2*Jitter))
	return nominal - time.Duration(float64(nominal)*Jitter) + time.Duration(spread)
}

// Nominal is Delay without jitter.
func Nominal(attempt int, first, limit time.Duration) time.Duration {
	if first <= 0 {
		return 0
	}
	nominal := first
	for range max(attempt, 1) - 1 {
		if nominal >= limit/2 {
			return limit
		}
		nominal *= 2
	}
	return min(nominal, limit)
}

// fraction maps h evenly to 0 … n, without the bias and without the cost of a division.
func fraction(h, n uint64) uint64 {
	high, _ := bits.Mul64(h, n+1)
	return high
}
