package history

import (
	"strconv"
	"strings"
	"time"
)

// Level is how finely the past is kept.
type Level struct {
	// Width of a bucket.
	Width time.Duration
	// Kept is how many buckets, the newest included.
	Kept int64
}

// Levels, finest first. The first keeps the groups themselves: 6 hours are 180 groups of the default period. A promise costs about 40 kB in the end, of which
// the days are 16.
var Levels = [...]Level{{time.Hour, 6}, {10 * time.Minute, 144}, {time.Hour, 336}, {24 * time.Hour, 400}}

// Limits.
const (
	// Raw is the level of the groups themselves.
	Raw = 0
	// Day is the level of UTC days.
	Day = 3
	// MaxPoints of one hour: two groups a minute. The rest is in the buckets only.
	MaxPoints = 120
	// MaxMessages is how many of the newest messages are kept.
	MaxMessages = 10
	// MaxMessage is how many bytes of each, its end.
	MaxMessage = 1000
	// MaxSkew is how far a node's clock may run ahead before its groups are filed under our own time.
	MaxSkew = time.Minute
)

// Field is where a bucket is kept.
type Field struct {
	Level  int
	Number int64
}

// fieldOf is the bucket of a time.
func fieldOf(level int, at time.Time) Field {
	return Field{level, at.Unix() / int64(Levels[level].Width/time.Second)}
}

// Begin is when the bucket begins.
func (f Field) Begin() time.Time {
	return time.Unix(f.Number*int64(Levels[f.Level].Width/time.Second), 0).UTC()
}

// String is the name of the field in the store.
func (f Field) String() string { return strconv.Itoa(f.Level) + ":" + strconv.FormatInt(f.Number, 10) }

// ParseField reads a name that String wrote.
func ParseField(name string) (Field, bool) {
	level, number, ok := strings.Cut(name, ":")
	l, err := strconv.Atoi(level)
	n, err2 := strconv.ParseInt(number, 10, 64)
	return Field{l, n}, ok && err == nil && err2 == nil && l >= 0 && l < len(Levels)
}

// kept tells whether a bucket is young enough.
func (f Field) kept(now time.Time) bool {
	return f.Number > fieldOf(f.Level, now).Number-Levels[f.Level].Kept
}
