package app_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// hooks is a service, and what is run before the content is removed: each hook notes that it ran and who it was, then does what var/<name> says.
const hooks = `[buildout]
parts = web prerm destroy

[web]
recipe = slapos.cookbook:wrapper
wrapper-path = ${buildout:directory}/etc/service/web
command-line = sleep 600

[hook]
recipe = slapos.recipe.template:jinja2
inline =
  #!/bin/sh
  echo "$0 $(id -u) $(id -G)" >> ${buildout:directory}/../../out/hooks
  . ${buildout:directory}/var/$(basename $0)
mode = 0750

[prerm]
<= hook
output = ${buildout:directory}/etc/prerm/prerm

[destroy]
<= hook
output = ${buildout:directory}/sbin/destroy
`

// A destruction that cannot end says why, touches nothing meanwhile, and goes on where it was: the retention delay first, then what a profile wants to be run
// before, each as the partition's user (as root in CI), then the content.
func TestADestructionThatCannotEndSaysWhyAndGoesOn(t *testing.T) {
	n := openNode(t)
	who := fmt.Sprintf("%d %d", os.Getuid(), os.Getgid())
	if os.Getuid() == 0 {
		n.layout(0, 1)
		who = "64200 64300"
	}
	n.timeout = 2 * time.Second
	startReal(t, n, hooks)
	eventually(t, "the release is available", func() bool { return look(n.control, func() bool { return len(n.states) > 1 }) })
	const retained = 3 * time.Second
	first := n.allocate("slappart0", "t1.a1", 1, n.release)
	first.Generation, first.RetentionDelay = &typev1.Generation{Epoch: 1, Number: 2}, durationpb.New(retained)
	n.want(first)
	n.order("slappart0", "t1.a1", 0)
	eventually(t, "the first run is reported", n.reported(0))
	if r := n.report(0); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
		t.Fatalf("report is %v", r)
	}
	ran := func() []string {
		content, err := os.ReadFile(filepath.Join(n.dir, "out", "hooks"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.FieldsFunc(strings.ReplaceAll(string(content), n.inside("")+"/", ""), func(r rune) bool { return r == '\n' })
	}
	does := func(hook, what string) {
		t.Helper()
		if err := os.WriteFile(n.inside("var/"+hook), []byte(what+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	number := 0
	destroy := func() *masterv1.ReportRunRequest {
		t.Helper()
		number++
		d := n.allocate("slappart0", "t1.a1", 2, n.release)
		d.State, d.Generation = destroyed, &typev1.Generation{Epoch: 1, Number: uint64(2 + number)}
		n.want(d)
		n.order("slappart0", "t1.a1", number)
		eventually(t, "the run is reported", n.reported(number))
		return n.report(number)
	}

	does("prerm", "echo the backup is not over >&2; exit 4")
	began := time.Now()
	if r := destroy(); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || r.GetRetainedUntil().AsTime().Sub(began) < retained/2 || len(ran()) != 0 {
		t.Fatalf("within the retention delay the hooks ran %v, and the report is %v", ran(), r)
	}
	number++ // nobody orders: the node itself runs it when its time has come
	eventually(t, "the run after the retention delay is reported", n.reported(number))
	r := n.report(number)
	if time.Since(began) < retained-time.Second || r.GetErrorType() != "prerm" || !strings.Contains(r.GetError(), "etc/prerm/prerm failed: exit status 4: the backup is not over") {
		t.Errorf("%s after it was destroyed the report is %v", time.Since(began), r)
	}

	does("prerm", "sleep 600 & echo $! > $HOME/../../out/pid; wait")
	if r := destroy(); r.GetResult() != typev1.RunResult_RUN_RESULT_TIMEOUT || !strings.Contains(r.GetError(), "step prerm") {
		t.Errorf("of a hook that hangs the report is %v", r)
	}
	text, err := os.ReadFile(filepath.Join(n.dir, "out", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "what the hook that hangs started is killed", func() bool {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, syscall.ESRCH) {
			return true
		}
		defer unix.Close(fd)
		ended, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && ended == 1
	})

	does("prerm", "true")
	does("destroy", "echo the disk is still mounted; exit 5")
	if r := destroy(); r.GetErrorType() != "destroy" || !strings.Contains(r.GetError(), "sbin/destroy failed: exit status 5: the disk is still mounted") {
		t.Errorf("of a hook that fails the report is %v", r)
	}
	if _, err := os.Stat(n.inside("etc/service/web")); err != nil {
		t.Errorf("the content is touched before the hooks succeeded: %v", err)
	}
	if kept, err := os.ReadFile(n.inside(".slapgrid-slappart0-error.log")); err != nil || !strings.Contains(string(kept), "still mounted") {
		t.Errorf("kept in the partition is %q, %v", kept, err)
	}

	does("destroy", "true")
	if r := destroy(); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || r.GetRetainedUntil() != nil {
		t.Errorf("report is %v", r)
	}
	if left, err := os.ReadDir(n.inside("")); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	hooksRan := ran()
	if got := strings.Join(hooksRan, ", "); got != strings.ReplaceAll("etc/prerm/prerm WHO, etc/prerm/prerm WHO, etc/prerm/prerm WHO, sbin/destroy WHO, etc/prerm/prerm WHO, sbin/destroy WHO", "WHO", who) {
		t.Errorf("the hooks ran as %s", got)
	}
}
