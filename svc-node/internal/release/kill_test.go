package release

import (
	"bufio"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test program be its own child, the one that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("VOW_TEST_INSTALL_INTO"); dir != "" {
		os.Exit(installAndTell(dir, os.Getenv("VOW_TEST_INSTALL"), os.Getenv("VOW_TEST_BUILDOUT")))
	}
	os.Exit(m.Run())
}

// installAndTell installs, and writes a line at each progress.
func installAndTell(dir, releaseURL, buildout string) int {
	r, err := NewRoot(dir, Settings{Buildout: buildout})
	if err == nil {
		w := &watcher{at: func(step Step, done, _ int64) {
			if done > 0 {
				os.Stdout.WriteString(string(step) + "\n") // the parent reads until it kills
			}
		}}
		ctx, cancel := contextWithin(time.Minute)
		defer cancel()
		err = r.Install(ctx, releaseURL, w)
	}
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}

// killedAt starts a process that installs, and kills it with -9 when it told that it is at a step.
func killedAt(t *testing.T, r *Root, releaseURL, buildout string, step Step) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "VOW_TEST_INSTALL_INTO="+r.dir, "VOW_TEST_INSTALL="+releaseURL, "VOW_TEST_BUILDOUT="+buildout)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != string(step) {
		t.Logf("the child: %s", lines.Text())
	}
	if lines.Text() != string(step) {
		t.Fatalf("the child never came to %s", step)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended before it was killed")
	}
}

func TestADownloadOfAKilledAgentIsContinuedByTheNext(t *testing.T) {
	content := noise(t, 1<<20)
	s := serve(t, content)
	s.set(func() { s.hold = true })
	r := newRoot(t)
	url := s.URL + "/hello.tar" + sha256Of(content)
	killedAt(t, r, url, "", Download)
	info, err := os.Stat(r.hidden(downloading, r.Directory(url)))
	if err != nil || info.Size() == 0 || r.Installed(url) {
		t.Fatalf("the killed agent left %v, %v", info, err)
	}
	s.set(func() { s.hold = false })
	next, err := NewRoot(r.dir, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	got := s.ranges()
	if len(got) != 2 || !strings.HasPrefix(got[1], "bytes=") || got[1] == "bytes=0-" {
		t.Errorf("the requests were for %q", got)
	}
	if left := beside(t, next); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
}

func TestAnUnpackingOfAKilledAgentIsDoneAgain(t *testing.T) {
	r := newRoot(t)
	// A pipe as a file of the archive is not possible, so the archive is long: the child is killed within its first file.
	url := file(t, noise(t, 64<<20))
	killedAt(t, r, url, "", Unpack)
	if r.Installed(url) || len(beside(t, r)) != 1 {
		t.Fatalf("the killed agent left %v", beside(t, r))
	}
	next, err := NewRoot(r.dir, Settings{})
	if err != nil || len(beside(t, next)) != 0 {
		t.Fatalf("the next agent left %v, %v", beside(t, next), err)
	}
	if err := next.Install(t.Context(), url, nil); err != nil || !next.Installed(url) {
		t.Error(err)
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// exists tells whether a path is there.
func exists(elements ...string) bool {
	_, err := os.Lstat(filepath.Join(elements...))
	return err == nil
}
