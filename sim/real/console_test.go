package real

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium, and what it complained about.
type browser struct {
	t    *testing.T
	all  context.Context
	base string

	mu         sync.Mutex
	complaints []string
}

// chromium is Debian's Chromium without a desktop: the same engine; no GTK, message bus or profile to start. It is the program itself: the script of that
// name in /usr/bin waits for it, and whoever ends the script leaves a browser behind.
const chromium = "/usr/lib/chromium/chromium-headless-shell"

// openBrowser starts chromium; it ends with the test.
func openBrowser(t *testing.T, base string) *browser {
	t.Helper()
	if _, err := exec.LookPath(chromium); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(chromium + " is not installed: make setup")
		}
		t.Skip(chromium + " is not installed: make setup")
	}
	var said synchronized
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.WindowSize(1200, 900), chromedp.Flag("hide-scrollbars", true),
		// What it waits for at first is a cold disk: hundreds of megabytes of program and libraries, read beside whatever else the machine does.
		chromedp.WSURLReadTimeout(patience), chromedp.CombinedOutput(&said))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	all, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{t: t, all: all, base: base}
	b.watch(all)
	if err := chromedp.Run(all); err != nil {
		t.Fatalf("start %s: %v\nit said:\n%s", chromium, err, said.String())
	}
	return b
}

// synchronized is what a process says, which may be read while it goes on.
type synchronized struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (s *synchronized) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

func (s *synchronized) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// watch what a tab complains about: exceptions of scripts, and what the content security policy refused.
func (b *browser) watch(tab context.Context) {
	chromedp.ListenTarget(tab, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				b.complaints = append(b.complaints, e.Entry.Text)
			}
		}
	})
}

// tab opens a page beside the others, until the test ends.
func (b *browser) tab(path string) context.Context {
	b.t.Helper()
	tab, closeTab := b.open(path)
	b.t.Cleanup(closeTab)
	return tab
}

// open a page beside the others. Each live one holds a connection, of which a browser has six.
func (b *browser) open(path string) (context.Context, context.CancelFunc) {
	b.t.Helper()
	tab, closeTab := chromedp.NewContext(b.all)
	b.watch(tab)
	// A tab that is not in front counts as hidden, and a hidden page is not kept live.
	if err := chromedp.Run(tab); err != nil { // the first run makes the tab: a context of its own would close it again
		b.t.Fatal(err)
	}
	// Colours turn at once: a picture in the middle of a transition shows none that is true.
	still := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}})
	b.do(tab, log.Enable(), emulation.SetFocusEmulationEnabled(true), still, chromedp.Navigate(b.base+path), chromedp.WaitVisible("#page", chromedp.ByQuery))
	return tab, closeTab
}

// do runs actions on a tab; it is a fault when they take longer than patience.
func (b *browser) do(tab context.Context, actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var page, state string
		_ = chromedp.Run(tab, chromedp.Text("#page", &page, chromedp.ByQuery), chromedp.Evaluate(`document.visibilityState + ', ' + document.getElementById('liveness').textContent`, &state))
		b.t.Fatalf("the browser: %v\non the page (%s):\n%s", err, state, page)
	}
}

// picture keeps a screenshot of the page where VOW_SCREENSHOTS says; `make console-images` does.
func (b *browser) picture(tab context.Context, name string) {
	b.t.Helper()
	var png []byte
	b.do(tab, chromedp.CaptureScreenshot(&png))
	if dir := os.Getenv("VOW_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

// act confirms an action in a tab of its own.
func (b *browser) act(path string) {
	b.t.Helper()
	tab, closeTab := b.open(path)
	defer closeTab()
	b.do(tab, chromedp.Click("form.confirm button", chromedp.ByQuery), chromedp.WaitNotPresent("form.confirm", chromedp.ByQuery))
}

// TestTheConsoleShowsAFaultInARealBrowser kills a service before the eyes of a Chromium: the page of the tree turns red and green again by itself, and the waterfall shows how, pending first.
func TestTheConsoleShowsAFaultInARealBrowser(t *testing.T) {
	dir := shortDir(t)
	u := startUp(t, dir, "--console", "127.0.0.1:0", "--partitions", "5")
	defer func() {
		_ = u.command.Process.Signal(syscall.SIGINT)
		_ = u.command.Wait() // killed by the signal we sent, or ended well: the other tests of `vow up` judge that
	}()
	b := openBrowser(t, "http://"+u.result.Endpoints.Console)
	tree := u.result.Tree.ID
	page := b.tab("/trees/" + tree)
	b.do(page, chromedp.WaitVisible(`#page[data-colour=green]`, chromedp.ByQuery), chromedp.WaitVisible(`#liveness[data-live]`, chromedp.ByQuery))
	// A mark on the document: it is gone if the page is loaded again.
	b.do(page, chromedp.Evaluate(`document.body.dataset.mark = 'first'`, nil))

	// Paused, the tree stays red until somebody has looked; what is pending is drawn from the start.
	b.act("/act/pause-tree?thing=" + tree + "&title=hello")
	if err := syscall.Kill(processes(t, dir)["sample web"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.do(page, chromedp.WaitVisible(`#page[data-colour=red] .story.Red .cause`, chromedp.ByQuery))
	var cause, link string
	b.do(page, chromedp.Text(".cause", &cause, chromedp.ByQuery), chromedp.AttributeValue(`table a[href^="/convergences/"]`, "href", &link, nil, chromedp.ByQuery))
	if !strings.Contains(cause, "web") {
		t.Errorf("the first line is %q, want the service that was killed", cause)
	}
	b.picture(page, "console-tree")
	b.picture(b.tab("/"), "console-fleet")
	waterfall := b.tab(link)
	b.do(waterfall, chromedp.WaitVisible(`.waterfall .pending`, chromedp.ByQuery), chromedp.WaitVisible(`#liveness[data-live]`, chromedp.ByQuery))

	b.act("/act/resume-tree?thing=" + tree + "&title=hello")
	b.do(page, chromedp.WaitVisible(`#page[data-colour=green]`, chromedp.ByQuery))
	b.do(waterfall, chromedp.WaitVisible(`h1 .green`, chromedp.ByQuery), chromedp.WaitNotPresent(`.waterfall .pending`, chromedp.ByQuery))
	b.picture(waterfall, "console-convergence")
	var mark string
	var bars int
	b.do(page, chromedp.Evaluate(`document.body.dataset.mark || ''`, &mark))
	b.do(waterfall, chromedp.Evaluate(`document.querySelectorAll('.waterfall .critical svg .bar').length`, &bars))
	if mark != "first" || bars < 5 {
		t.Errorf("the page was loaded again (mark %q), or the critical path has %d bars only", mark, bars)
	}
	b.do(page, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}), chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)))
	var wide int
	b.do(page, chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide))
	if wide > 390 {
		t.Errorf("on a phone the page is %d pixels wide, want 390", wide)
	}
	b.picture(page, "console-phone")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		t.Errorf("the browser complained: %s", fmt.Sprint(b.complaints))
	}
}
