package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// Value is a resolved option: text as a rule, or structured data that a recipe provided (a dictionary of
// parameters, a list of addresses), which keeps its structure when an option is exactly one reference.
type Value struct {
	// text is JSON when the value is structured.
	text       string
	data       any
	structured bool
}

// Text is a Value of plain text.
func Text(s string) Value { return Value{text: s} }

// Structured is a Value of data as encoding/json decodes it: nil, bool, numbers, string, []any, map[string]any.
func Structured(data any) Value {
	if s, ok := data.(string); ok {
		return Text(s)
	}
	text, err := json.Marshal(data)
	if err != nil {
		text = []byte(fmt.Sprint(data))
	}
	return Value{text: string(text), data: data, structured: true}
}

// String is the text, or what Python's str() makes of structured data: that is what buildout writes where such a value is
// part of a text.
func (v Value) String() string {
	if v.structured {
		return pythontext.Str(v.data)
	}
	return v.text
}

// JSON is the text, or the JSON of structured data, with keys in order.
func (v Value) JSON() string { return v.text }

// Data is the structured data, or the text as a string.
func (v Value) Data() any {
	if v.structured {
		return v.data
	}
	return v.text
}

// IsStructured tells data from text.
func (v Value) IsStructured() bool { return v.structured }

// Fingerprint identifies the value without telling it: half a SHA-256, 32 hexadecimal digits. The record
// of what is installed keeps fingerprints, because options carry passwords.
func (v Value) Fingerprint() string {
	digits := fingerprint([]byte(v.text))
	return string(digits[:])
}

func fingerprint(text []byte) (digits [32]byte) {
	sum := sha256.Sum256(text)
	hex.Encode(digits[:], sum[:16])
	return digits
}
