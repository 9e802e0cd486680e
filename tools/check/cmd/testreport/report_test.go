package main

import (
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"    a_test.go:1: chatter\n"}
{"Action":"output","Package":"p","Test":"TestGood/sub","Output":"    --- PASS: TestGood/sub (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestGood/sub","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestGood","Output":"--- PASS: TestGood (0.50s)\n"}
{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":0.5}
`

const skip = `{"Action":"output","Package":"p","Test":"TestRedis","Output":"=== RUN   TestRedis\n"}
{"Action":"output","Package":"p","Test":"TestRedis","Output":"    a_test.go:9: redis-server is not on PATH\n"}
{"Action":"output","Package":"p","Test":"TestRedis","Output":"--- SKIP: TestRedis (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestRedis","Elapsed":0}
`

const pass = `{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.5s\n"}
{"Action":"pass","Package":"p","Elapsed":0.5}
`

const untested = `{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q","Elapsed":0}
`

const failing = `{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"p","Test":"TestBad/sub","Output":"    a_test.go:3: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestBad/sub","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.5s\n"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`

const panicking = `{"Action":"output","Package":"p","Test":"TestStuck","Output":"=== RUN   TestStuck\n"}
{"Action":"output","Package":"p","Test":"TestStuck","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.5s\n"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`

const broken = `{"ImportPath":"p [p.test]","Action":"build-output","Output":"./a.go:1: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}
`

// What is printed is go test's own lines: all of a failure, one line of a success.
func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ci       bool
		want     string
		passed   bool
	}{
		{"a pass is one line, without its chatter", events + pass, true, "--- PASS: TestGood (0.50s)\nok  \tp\t0.5s\n", true},
		{"a skip is told with its reason", skip + pass, false, "--- SKIP: TestRedis (0.00s)\nok  \tp\t0.5s\nskipped: p TestRedis: a_test.go:9: redis-server is not on PATH\n", true},
		{"a skip fails in CI", skip + pass, true, "--- SKIP: TestRedis (0.00s)\nok  \tp\t0.5s\nskipped: p TestRedis: a_test.go:9: redis-server is not on PATH\nfailed: a skipped test fails in CI\n", false},
		{"a package without tests is neither told nor skipped", untested + pass, true, "ok  \tp\t0.5s\n", true},
		{"a failure is told in full", failing, false, "    a_test.go:3: got 1, want 2\n--- FAIL: TestBad (0.00s)\nFAIL\nFAIL\tp\t0.5s\nfailed: p TestBad\nfailed: p\n", false},
		{"a test that never ended is told in full", panicking, false, "=== RUN   TestStuck\npanic: test timed out\nFAIL\tp\t0.5s\nfailed: p\n", false},
		{"a package that does not build says why", broken, false, "./a.go:1: undefined: x\nFAIL\tp [build failed]\nfailed: p\n", false},
		{"what is not an event passes through", "go: no such module\n", false, "go: no such module\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out, c.ci)
			if err := r.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			passed := r.end()
			if out.String() != c.want || passed != c.passed {
				t.Errorf("printed %q, passed %v\nwant    %q, %v", out.String(), passed, c.want, c.passed)
			}
		})
	}
}
