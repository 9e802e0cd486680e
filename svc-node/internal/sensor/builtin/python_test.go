package builtin

import "testing"

func TestTextIsQuotedAsPythonDoes(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "'plain'", "it's": `"it's"`, `both ' and "`: `'both \' and "'`, "a\nb\\\t\x00\x7f": `'a\nb\\\t\x00\x7f'`,
		"é\u200b": `'é\u200b'`, "\xff": `'\udcff'`, "": "''",
	} {
		expect(t, quoted(text), want)
	}
	expect(t, quotedBytes([]byte("it's\n\xff")), `b"it's\n\xff"`)
}

func TestNumbersReadAsPythonsDo(t *testing.T) {
	for f, want := range map[float64]string{3: "3.0", 0.52: "0.52", 12.5: "12.5"} {
		expect(t, number(f), want)
	}
	for bytes, want := range map[float64]string{0: "0.0B", 200e6: "190.7M", 1e9: "953.7M", 2e9: "1.9G"} {
		expect(t, human(bytes), want)
	}
}

func FuzzQuoted(f *testing.F) {
	f.Add("it's\n\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if q := quoted(text); len(q) < 2 || q[0] != q[len(q)-1] {
			t.Errorf("%q becomes %s", text, q)
		}
	})
}
