package jinja

import (
	"strconv"
	"strings"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
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
		b.WriteString(pythontext.Bool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(pythontext.Float(v))
	case string:
		b.WriteString(pythontext.Quote(v))
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
