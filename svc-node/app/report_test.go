package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// A report script that fails breaks no service: the partition stays Green, and what the script says is told with a run at once, until it succeeds.
func TestAReportScriptThatFailsIsToldUntilItSucceeds(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		script := func(body string) {
			path := n.inside("etc/report/mail")
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		newest := func() *masterv1.ReportRunRequest {
			return n.report(count(n, func() []*masterv1.ReportRunRequest { return n.reports }) - 1)
		}
		script("head -c 1000000 /dev/zero | tr '\\0' x; echo no mail server >&2; exit 3")
		n.cut("scheduler") // nobody has to order the run that tells it
		time.Sleep(70 * time.Minute)
		r := newest()
		if r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || len(r.GetProblems()) != 1 {
			t.Fatalf("report is %.300v", r)
		}
		if p := r.GetProblems()[0]; !strings.HasPrefix(p, "etc/report/mail of slappart0 failed: exit status 3: xxx") || !strings.HasSuffix(p, "no mail server") || len(p) > 1000 {
			t.Errorf("the problem has %d bytes: %.100s…", len(p), p)
		}
		before := count(n, func() []*masterv1.BeginRunRequest { return n.begun })
		n.stop() // what is wrong is remembered on the disk
		n.start()
		time.Sleep(5 * time.Second)
		if p := n.status().GetPartitions()[0].GetProblems(); len(p) != 1 {
			t.Errorf("after a restart of the agent the node says %v", p)
		}
		script("exit 0")
		time.Sleep(70 * time.Minute)
		if r := newest(); len(r.GetProblems()) != 0 || r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
			t.Errorf("after it succeeded the report is %.300v", r)
		}
		script("echo this is no journal > \"$1\"")
		time.Sleep(80 * time.Minute)
		if r := newest(); len(r.GetProblems()) != 1 || !strings.Contains(r.GetProblems()[0], "it is no journal") {
			t.Errorf("of a script that leaves no journal the report is %.300v", r)
		}
		if runs := count(n, func() []*masterv1.BeginRunRequest { return n.begun }) - before; runs > 8 {
			t.Errorf("%d runs were made to tell three things in four hours", runs)
		}
	})
}
