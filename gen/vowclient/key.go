package vowclient

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// NewKey is a request id that nobody had before.
func NewKey() string { return rand.Text() }

// Key is a request id made of what the caller is doing, e.g. Key("deploy", jobID): a process that takes the same job up again makes the same call, which gets the
// first answer. svc-master remembers a tree's keys for a day at least, unless 5,000 newer ones come.
func Key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p)) // so that "a", "bc" is not "ab", "c"
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
