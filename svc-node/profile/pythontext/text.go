package pythontext

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote is repr() of a text. Bytes that are no UTF-8 become surrogates, as Python decodes names of files.
func Quote(text string) string {
	mark := markFor(text)
	var b strings.Builder
	b.WriteByte(mark)
	for i, r := range text {
		switch {
		case escaped(&b, r, mark):
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\udc%02x`, text[i])
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte(mark)
	return b.String()
}

// QuoteBytes is repr() of bytes.
func QuoteBytes(content []byte) string {
	mark := markFor(string(content))
	var b strings.Builder
	b.WriteString("b" + string(mark))
	for _, c := range content {
		switch {
		case escaped(&b, rune(c), mark):
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	b.WriteByte(mark)
	return b.String()
}

// markFor is the quotation mark that Python chooses.
func markFor(text string) byte {
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		return '"'
	}
	return '\''
}

// escaped writes a character that has an escape of its own.
func escaped(b *strings.Builder, r rune, mark byte) bool {
	switch r {
	case rune(mark), '\\':
		b.WriteByte('\\')
		b.WriteRune(r)
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\t':
		b.WriteString(`\t`)
	default:
		return false
	}
	return true
}

// Float is repr() of a float.
func Float(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if size := math.Abs(f); f != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// Bool is repr() of a boolean.
func Bool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// Str is str() of data as encoding/json decodes it, with keys in order. A number without a fraction is written as an
// integer: JSON does not tell 1 from 1.0.
func Str(data any) string {
	if text, ok := data.(string); ok {
		return text
	}
	return Repr(data)
}

// Repr is repr() of such data.
func Repr(data any) string {
	var b strings.Builder
	write(&b, data)
	return b.String()
}

func write(b *strings.Builder, data any) {
	switch v := data.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(Bool(v))
	case string:
		b.WriteString(Quote(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			b.WriteString(strconv.FormatInt(int64(v), 10))
		} else {
			b.WriteString(Float(v))
		}
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			write(b, item)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(Quote(key) + ": ")
			write(b, v[key])
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v)
	}
}
