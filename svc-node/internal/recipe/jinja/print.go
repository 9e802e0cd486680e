package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// str is Python's str().
func str(v value) string {
	if text, ok := v.(string); ok {
		return text
	}
	return repr(v)
}

// maxPrinted bounds how deep lists within lists are printed: a list may hold itself.
const maxPrinted = 20

// repr is Python's repr().
func repr(v value) string {
	var b strings.Builder
	printTo(&b, v, 0)
	return b.String()
}

func printTo(b *strings.Builder, v value, depth int) {
	if depth > maxPrinted || b.Len() > MaxTextBytes {
		b.WriteString("...")
		return
	}
	several := func(open, shut string, items []value) {
		b.WriteString(open)
		for i, item := range items {
			if i > 0 {
				b.WriteString(", ")
			}
			printTo(b, item, depth+1)
		}
		b.WriteString(shut)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(printedFloat(v))
	case string:
		b.WriteString(printedText(v))
	case *list:
		several("[", "]", v.items)
	case tuple:
		if len(v) == 1 {
			several("(", ",)", v)
		} else {
			several("(", ")", v)
		}
	case *dict:
		b.WriteByte('{')
		for i, key := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			element, _ := v.get(key)
			printTo(b, key, depth+1)
			b.WriteString(": ")
			printTo(b, element, depth+1)
		}
		b.WriteByte('}')
	case *function:
		b.WriteString("<function " + v.name + ">")
	case *object:
		b.WriteString(v.printed)
	case undefined:
		b.WriteString("Undefined")
	}
}

func printedFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if exponent := math.Abs(f); f != 0 && (exponent < 1e-4 || exponent >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func printedText(s string) string {
	mark := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		mark = '"'
	}
	var b strings.Builder
	b.WriteByte(mark)
	for _, c := range s {
		switch {
		case c == rune(mark) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte(mark)
	return b.String()
}
