package recipe

import (
	"crypto/sha512"
	"strings"
)

// shaCryptRounds is what crypt(3) and openssl do when a hash names no other number: some milliseconds. The passwords
// hashed here are drawn, not thought up.
const shaCryptRounds = 5000

// cryptLetters are the digits of crypt(3), six bits each.
const cryptLetters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// sha512Crypt is crypt(3) of a password with "$6$" and a salt of up to 16 letters, as specified by Ulrich Drepper.
func sha512Crypt(password, salt string) string {
	const size = sha512.Size
	p, s := []byte(password), []byte(salt)
	sum := func(parts ...[]byte) []byte {
		h := sha512.New()
		for _, part := range parts {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	// repeated is a digest as often as it takes to be n bytes long.
	repeated := func(digest []byte, n int) []byte {
		out := make([]byte, 0, n+size)
		for len(out) < n {
			out = append(out, digest...)
		}
		return out[:n]
	}
	b := sum(p, s, p)
	a := sha512.New()
	a.Write(p)
	a.Write(s)
	a.Write(repeated(b, len(p)))
	for n := len(p); n > 0; n >>= 1 {
		if n&1 == 1 {
			a.Write(b)
		} else {
			a.Write(p)
		}
	}
	digest := a.Sum(nil)
	h := sha512.New()
	for range p {
		h.Write(p)
	}
	passwords := repeated(h.Sum(nil), len(p))
	h.Reset()
	for range 16 + int(digest[0]) {
		h.Write(s)
	}
	salts := repeated(h.Sum(nil), len(s))
	for round := range shaCryptRounds {
		h.Reset()
		if round%2 == 1 {
			h.Write(passwords)
		} else {
			h.Write(digest)
		}
		if round%3 != 0 {
			h.Write(salts)
		}
		if round%7 != 0 {
			h.Write(passwords)
		}
		if round%2 == 1 {
			h.Write(digest)
		} else {
			h.Write(passwords)
		}
		digest = h.Sum(digest[:0])
	}
	// Three bytes from the thirds of the digest make four letters; each time the thirds change places.
	var out strings.Builder
	out.WriteString("$6$" + salt + "$")
	group := func(bits uint, letters int) {
		for range letters {
			out.WriteByte(cryptLetters[bits&0x3f])
			bits >>= 6
		}
	}
	x, y, z := 0, 21, 42
	for range 21 {
		group(uint(digest[x])<<16|uint(digest[y])<<8|uint(digest[z]), 4)
		x, y, z = y+1, z+1, x+1
	}
	group(uint(digest[63]), 2)
	return out.String()
}
