package pythontext

import (
	"encoding/json"
	"math"
	"os/exec"
	"strings"
	"testing"
)

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTextIsQuotedAsPythonDoes(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "'plain'", "it's": `"it's"`, `both ' and "`: `'both \' and "'`, "a\nb\\\t\x00\x7f": `'a\nb\\\t\x00\x7f'`,
		"é\u200b": `'é\u200b'`, "\xff": `'\udcff'`, "": "''",
	} {
		expect(t, Quote(text), want)
	}
	expect(t, QuoteBytes([]byte("it's\n\xff")), `b"it's\n\xff"`)
}

func TestFloatsReadAsPythonsDo(t *testing.T) {
	for f, want := range map[float64]string{
		3: "3.0", 0.52: "0.52", 12.5: "12.5", 1234567.5: "1234567.5", 1e15: "1000000000000000.0", 1e16: "1e+16", 0.0001: "0.0001", 0.00001: "1e-05",
		0: "0.0", -2: "-2.0", math.Inf(1): "inf", math.Inf(-1): "-inf",
	} {
		expect(t, Float(f), want)
	}
	expect(t, Float(math.NaN()), "nan")
}

// Python itself, with keys in order, writes JSON data as Str does.
func TestDataReadsAsPythonsDo(t *testing.T) {
	for _, text := range []string{
		`{"b": [1, 2.5, -3, 1e20, null, true, false], "a": {"it's": "x\ny"}}`, `[]`, `{}`, `"plain"`, `["\"", "'", "é", "\u200b"]`, `12345678901`, `0.1`, `null`, `true`,
	} {
		var data any
		if err := json.Unmarshal([]byte(text), &data); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("python3", "-c", "import json, sys\nd = json.loads(sys.stdin.read())\nprint(dict(sorted(d.items())) if isinstance(d, dict) else d, end='')")
		c.Stdin = strings.NewReader(text)
		c.Env = []string{"PYTHONIOENCODING=utf-8"}
		want, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, Str(data), string(want))
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("it's\n\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if q := Quote(text); len(q) < 2 || q[0] != q[len(q)-1] {
			t.Errorf("%q becomes %s", text, q)
		}
	})
}
