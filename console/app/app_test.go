package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
)

// browser asks a console as a browser does: with cookies, and without following.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

// open starts a console before a fleet, without the services that are not named; all if none is.
func open(t *testing.T, f *fleet, cfg Config, services ...string) *browser {
	t.Helper()
	if len(services) == 0 {
		services = []string{"master", "scheduler", "promise"}
	}
	network := memnet.New()
	f.serve(t, network, services...)
	cfg.Address, cfg.Master, cfg.Scheduler, cfg.Promise = "127.0.0.1:0", "master:1", "scheduler:1", "promise:1"
	if cfg.MaxLive == 0 {
		cfg.MaxLive = DefaultMaxLive
	}
	console, err := New(cfg, Settings{Dial: rpc.Dial(network.Dialer("console"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := console.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	b := &browser{t: t, base: "http://" + console.Addr().String(), http: &http.Client{
		Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := console.Stop(ctx); err != nil {
			t.Errorf("stop the console: %v", err)
		}
	})
	return b
}

// do sends a request and reads its answer.
func (b *browser) do(r *http.Request) (*http.Response, string) {
	b.t.Helper()
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response, string(body)
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// get a page and parse it; it must have the status.
func (b *browser) get(path string, status int) *html.Node {
	b.t.Helper()
	response, body := b.do(b.request(http.MethodGet, path, nil))
	if response.StatusCode != status {
		b.t.Fatalf("%s: %s, want %d\n%s", path, response.Status, status, body)
	}
	page, err := html.Parse(strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return page
}

// post a confirmed action: the form of its page, with what a person adds.
func (b *browser) post(path string, add url.Values, change func(*http.Request)) (*http.Response, string) {
	b.t.Helper()
	page := b.get(path, http.StatusOK)
	values := url.Values{}
	for n := range page.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attribute(n, "type") == "hidden" {
			values.Set(attribute(n, "name"), attribute(n, "value"))
		}
	}
	for k, v := range add {
		values[k] = v
	}
	action, _, _ := strings.Cut(path, "?")
	r := b.request(http.MethodPost, action, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r)
	}
	return b.do(r)
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text of a node, with white space folded.
func text(n *html.Node) string {
	var words strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			words.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(words.String()), " ")
}

// of finds the elements of a class.
func of(page *html.Node, class string) (found []*html.Node) {
	for n := range page.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(strings.Fields(attribute(n, "class")), class) {
			found = append(found, n)
		}
	}
	return found
}

// pages is one of each kind.
func pages() []string {
	return []string{
		"/", "/trees", "/trees?colour=red", "/trees/" + hello, "/trees/" + hello + "/bangs", "/instances/" + hello + ".i2", "/instances/" + hello + ".i2?show=connection", "/convergences/" + hello + ".c1",
		"/promises/" + hello + ".a2/web-listens", "/bangs", "/bangs?withheld=1", "/agenda", "/agenda?only=late", "/crimes", "/search?q=script", "/computers/laptop", "/audit", "/instances/" + hello + ".i2/processes", "/instances/" + hello + ".i2/logs/web%20server", "/act/bang?thing=" + hello + "&title=" + url.QueryEscape(hostile),
	}
}

// Whatever a service says is shown as words: it makes no element, no attribute and no script, on any page.
func TestHostileWordsStayWords(t *testing.T) {
	f := &fleet{red: true}
	b := open(t, f, Config{})
	for _, path := range pages() {
		page := b.get(path, http.StatusOK)
		scripts := 0
		for n := range page.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "script":
				scripts++
				if !strings.HasPrefix(attribute(n, "src"), "/assets/") || n.FirstChild != nil {
					t.Errorf("%s has a script that is not a file of ours", path)
				}
			case "img", "style", "iframe", "object":
				t.Errorf("%s has an element %s", path, n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("%s: <%s %s=…>", path, n.Data, a.Key)
				}
			}
		}
		if scripts != 1 {
			t.Errorf("%s has %d scripts, want 1", path, scripts)
		}
	}
	if got := text(b.get("/trees/"+hello, http.StatusOK)); !strings.Contains(got, "<script>alert(1)</script>") {
		t.Error("the title is not on the page of the tree")
	}
}

// The first line of a red tree's page is the cause, then what was tried, and what is next and when.
func TestARedTreeSaysWhyWhatWasTriedAndWhatIsNext(t *testing.T) {
	f := &fleet{red: true}
	b := open(t, f, Config{})
	page := b.get("/trees/"+hello, http.StatusOK)
	if got := text(of(page, "cause")[0]); !strings.HasPrefix(got, "web: promise web-listens fails: ") {
		t.Errorf("the cause is %q", got)
	}
	story := text(of(page, "story")[0])
	for _, want := range []string{"since ", "web on laptop/slappart2", "web-listens fails for ", "value 4.5", "bang run, attempt 2, failure ", "runs in 1 min", "growing delay, attempt 2", "connection refused"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story does not say %q: %s", want, story)
		}
	}
	first := text(b.get("/", http.StatusOK))
	if !strings.Contains(first, "Red now") || !strings.Contains(first, "web: run failed") {
		t.Errorf("the first page does not say what is red: %s", first)
	}
}

// Secrets are not in a page until they are asked for, and user names and passwords of URLs never are.
func TestParametersAreNotSentUntilTheyAreAskedFor(t *testing.T) {
	b := open(t, &fleet{}, Config{})
	for _, path := range pages() {
		_, body := b.do(b.request(http.MethodGet, path, nil))
		for _, secret := range []string{"hunter2", "hunter3"} { // what it published, and what it was requested with
			if strings.Contains(body, secret) != strings.Contains(path, "show=connection") {
				t.Errorf("%s: %s is there: %v", path, secret, strings.Contains(body, secret))
			}
		}
		if strings.Contains(body, "user:secret") {
			t.Errorf("%s shows the password of a URL", path)
		}
	}
}

// Every answer forbids inline scripts and styles, and framing; names that nobody allowed are refused, so that no foreign name can be bound to our address.
func TestEveryAnswerIsGuarded(t *testing.T) {
	b := open(t, &fleet{}, Config{Hostname: []string{"console.example.net"}})
	for _, path := range append(pages(), "/nothing", "/assets/none") {
		response, _ := b.do(b.request(http.MethodGet, path, nil))
		policy := response.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
				t.Errorf("%s: the policy is %q, want %s in it", path, policy, want)
			}
		}
	}
	for host, status := range map[string]int{"console.example.net": 200, "localhost:7714": 200, "[::1]:7714": 200, "evil.example.net": 421, "127.0.0.1.evil.example.net": 421} {
		r := b.request(http.MethodGet, "/healthz", nil)
		r.Host = host
		if response, _ := b.do(r); response.StatusCode != status {
			t.Errorf("host %s: %s, want %d", host, response.Status, status)
		}
	}
}

// Each action is asked about first, is done by its RPC with the form's request id, and shows where its effect is seen.
func TestActionsAreConfirmedThenDone(t *testing.T) {
	f := &fleet{}
	b := open(t, f, Config{})
	q := url.QueryEscape
	for _, c := range []struct {
		path    string
		add     url.Values
		did, to string
		noID    bool
	}{
		{"/act/bang?thing=" + hello, url.Values{"by": {"ada"}, "reason": {"try"}}, "bang " + hello + " by ada: try", "/convergences/" + hello + ".c1", false},
		{"/act/start?thing=" + hello + ".i1", nil, "set " + hello + ".i1 REQUESTED_STATE_STARTED", "/trees/" + hello, false},
		{"/act/stop?thing=" + hello + ".i1", nil, "set " + hello + ".i1 REQUESTED_STATE_STOPPED", "/trees/" + hello, false},
		{"/act/destroy?thing=" + hello + ".i1&title=web", url.Values{"typed": {"web"}}, "set " + hello + ".i1 REQUESTED_STATE_DESTROYED", "/trees/" + hello, false},
		{"/act/run?thing=" + q("laptop/slappart2"), nil, "run laptop/slappart2", "/computers/laptop", false},
		{"/act/pause-tree?thing=" + hello, url.Values{"reason": {"work"}, "by": {"ada"}, "hours": {"2"}}, "pause " + hello + " by ada: work, 2 h", "/trees/" + hello, true},
		{"/act/resume-tree?thing=" + hello, nil, "resume " + hello, "/trees/" + hello, true},
		{"/act/pause-computer?thing=laptop", url.Values{"reason": {"work"}, "by": {"ada"}, "hours": {"2"}}, "pause laptop by ada: work, 2 h", "/computers/laptop", true},
		{"/act/resume-computer?thing=laptop", nil, "resume laptop", "/computers/laptop", true},
		{"/act/mute?thing=" + hello + ".a2&promise=web-listens", url.Values{"by": {"ada"}, "reason": {"known"}, "hours": {"8"}}, "mute " + hello + ".a2 web-listens by ada: known, 8 h", "/promises/" + hello + ".a2/web-listens", true},
		{"/act/unmute?thing=" + hello + ".a2&promise=web-listens", url.Values{"by": {"ada"}}, "unmute " + hello + ".a2 web-listens by ada", "/promises/" + hello + ".a2/web-listens", true},
	} {
		f.acts, f.keys = nil, nil
		response, body := b.post(c.path, c.add, nil)
		if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != c.to {
			t.Errorf("%s: %s to %q, want a redirect to %s\n%s", c.path, response.Status, response.Header.Get("Location"), c.to, body)
		}
		if len(f.acts) != 1 || f.acts[0] != c.did {
			t.Errorf("%s did %q, want %q", c.path, f.acts, c.did)
		}
		if !c.noID && (len(f.keys) != 1 || len(f.keys[0]) < 20) {
			t.Errorf("%s: request ids %q", c.path, f.keys)
		}
	}
}

// What is not confirmed is not done: a GET, a form without the browser's token, one that another site sends, a name that was mistyped.
func TestWhatIsNotConfirmedIsNotDone(t *testing.T) {
	f := &fleet{}
	b := open(t, f, Config{})
	bang := "/act/bang?thing=" + hello
	for name, c := range map[string]struct {
		path   string
		add    url.Values
		change func(*http.Request)
		status int
	}{
		"wrong token":     {bang, url.Values{"token": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}}, nil, http.StatusForbidden},
		"no token":        {bang, url.Values{"token": nil}, nil, http.StatusForbidden},
		"another site":    {bang, nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		"another origin":  {bang, nil, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example.net") }, http.StatusForbidden},
		"mistyped name":   {"/act/destroy?thing=" + hello + ".i1&title=web", url.Values{"typed": {"wed"}}, nil, http.StatusBadRequest},
		"too many hours":  {"/act/pause-tree?thing=" + hello, url.Values{"hours": {"721"}}, nil, http.StatusBadRequest},
		"no hours":        {"/act/mute?thing=" + hello + ".a2&promise=p", url.Values{"hours": {"-1"}}, nil, http.StatusBadRequest},
		"nothing to bang": {bang, url.Values{"thing": {""}, "token": nil}, nil, http.StatusBadRequest},
	} {
		if response, _ := b.post(c.path, c.add, c.change); response.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", name, response.Status, c.status)
		}
	}
	if len(f.acts) != 0 {
		t.Errorf("done all the same: %q", f.acts)
	}
}

// listen to the stream of a page; each value is a message's event and data.
func (b *browser) listen(path string) (<-chan [2]string, func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		b.t.Fatalf("%s: %s, %s", path, response.Status, got)
	}
	messages := make(chan [2]string, 100)
	go func() {
		defer close(messages)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 16<<20)
		var event string
		var data bytes.Buffer
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				event = line[7:]
			case strings.HasPrefix(line, "data: "):
				data.WriteString(line[6:] + "\n")
			case line == "" && data.Len() > 0:
				messages <- [2]string{event, data.String()}
				event = ""
				data.Reset()
			}
		}
	}()
	return messages, cancel
}

// next waits for a message that says something.
func next(t *testing.T, messages <-chan [2]string, says string) string {
	t.Helper()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				t.Fatalf("the stream ended before it said %q", says)
			}
			if strings.Contains(m[1], says) {
				return m[1]
			}
		case <-patience.C:
			t.Fatalf("waited in vain for %q", says)
		}
	}
}

// A live page turns red and green again by itself, and what is sent is what the page is.
func TestALivePageFollowsTheColours(t *testing.T) {
	f := &fleet{}
	b := open(t, f, Config{})
	for _, path := range []string{"/?live=1", "/trees?live=1", "/trees/" + hello + "?live=1"} {
		messages, stop := b.listen(path)
		next(t, messages, `data-colour="green"`)
		f.turn(true)
		update := next(t, messages, `data-colour="red"`)
		if !strings.HasPrefix(update, `<main id="page"`) || !strings.Contains(update, "web: ") {
			t.Errorf("%s sent %.200s", path, update)
		}
		f.turn(false)
		next(t, messages, `data-colour="green"`)
		stop()
		for range messages {
		}
	}
}

// No more pages are live at once than the bound; one that goes makes room.
func TestLivePagesAreBounded(t *testing.T) {
	b := open(t, &fleet{}, Config{MaxLive: 1})
	messages, stop := b.listen("/?live=1")
	next(t, messages, "<main")
	// One that finds no room says so, and asks again by itself, each time after twice as long.
	for told, seconds := range []int{2, 4, 8, 16, 32, 60, 60} {
		r := b.request(http.MethodGet, "/trees?live=1", nil)
		if told > 0 {
			r.Header.Set("Last-Event-ID", strconv.Itoa(told))
		}
		_, body := b.do(r)
		for _, want := range []string{fmt.Sprintf("id: %d\nretry: %d\nevent: away\n", told+1, 1000*seconds), "the console keeps 1 pages live", "asks again in about"} {
			if !strings.Contains(body, want) {
				t.Errorf("a second live page that was refused %d times does not say %q:\n%s", told, want, body)
			}
		}
	}
	stop()
	for range messages {
	}
	// The handler of a stream ends when it notices that nobody reads.
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		response, _ := b.do(b.request(http.MethodHead, "/?live=1", nil))
		if response.Header.Get("Retry-After") == "" {
			return
		}
		select {
		case <-tick.C:
		case <-patience.C:
			t.Fatal("the stream that was left still takes the room")
		}
	}
}

// A service that is away is named where its answers would be; without svc-master the page says that colours are not known.
func TestWhatDoesNotAnswerIsSaid(t *testing.T) {
	b := open(t, &fleet{red: true}, Config{}, "master")
	page := text(b.get("/trees/"+hello, http.StatusOK))
	for _, want := range []string{"Not known: the promises: svc-promise at promise:1 did not answer", "Not known: the next runs: svc-scheduler"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q: %s", want, page)
		}
	}
	alone := open(t, &fleet{}, Config{}, "scheduler", "promise")
	for _, path := range []string{"/", "/trees", "/trees/" + hello, "/search?q=x"} {
		if page := text(alone.get(path, http.StatusServiceUnavailable)); !strings.Contains(page, "svc-master (master:1) is away") {
			t.Errorf("%s does not say that svc-master is away: %s", path, page)
		}
	}
	messages, stop := alone.listen("/trees/" + hello + "?live=1")
	defer stop()
	if says := next(t, messages, "asks again"); !strings.Contains(says, "svc-master at master:1 was lost") {
		t.Errorf("a live page that cannot be begun says %q", says)
	}
}

// A feed is Atom, with an entry for the colour, for each bang and for each convergence, each with an id that stays.
func TestAFeedTellsColourBangsAndConvergences(t *testing.T) {
	b := open(t, &fleet{red: true}, Config{})
	_, body := b.do(b.request(http.MethodGet, "/trees/"+hello+"/feed.atom", nil))
	var feed struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		Entries []struct {
			ID    string `xml:"id"`
			Title string `xml:"title"`
			Link  struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal([]byte(body), &feed); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	ids := map[string]bool{}
	for _, e := range feed.Entries {
		ids[e.ID] = true
		if !strings.HasPrefix(e.Link.Href, b.base+"/") {
			t.Errorf("entry %s links to %q", e.ID, e.Link.Href)
		}
	}
	if len(feed.Entries) != 4 || !ids["urn:vow:"+hello+".b1"] || !ids["urn:vow:"+hello+".c1"] {
		t.Errorf("the entries are %v", feed.Entries)
	}
}

// The points of a chart are those of the history.
func TestAChartGetsThePointsOfTheHistory(t *testing.T) {
	b := open(t, &fleet{}, Config{})
	_, body := b.do(b.request(http.MethodGet, "/promises/"+hello+".a2/web-listens/points?range=1+d", nil))
	var data struct {
		At     []int64
		Value  []*float64
		Failed []bool
	}
	if err := json.Unmarshal([]byte(body), &data); err != nil || len(data.At) != 50 || *data.Value[7] != 7 || !data.Failed[40] {
		t.Errorf("%v: %s", err, body)
	}
	page := b.get("/promises/"+hello+".a2/web-listens", http.StatusOK)
	if got := len(of(page, "anomaly")); got != 1 {
		t.Errorf("%d anomalies are drawn, want 1", got)
	}
}

// A convergence is drawn with its critical path, whose parts sum to the whole, and linked to the trace backend.
func TestAConvergenceIsDrawn(t *testing.T) {
	b := open(t, &fleet{}, Config{TraceURL: "https://jaeger.example.net/trace/{trace_id}"})
	page := b.get("/convergences/"+hello+".c1", http.StatusOK)
	if got := text(of(page, "path")[0]); !strings.Contains(got, "step promises member 0 80.0 ms") || !strings.Contains(got, "report → converged") {
		t.Errorf("the critical path is %s", got)
	}
	var linked bool
	for n := range page.Descendants() {
		linked = linked || attribute(n, "href") == "https://jaeger.example.net/trace/"+strings.Repeat("a", 32)
	}
	if !linked {
		t.Error("the trace is not linked")
	}
	if got := len(of(page, "bar")); got < 6 {
		t.Errorf("%d bars", got)
	}
	response, _ := b.do(b.request(http.MethodGet, "/convergences/"+hello+".b1", nil))
	if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "/convergences/"+hello+".c1" {
		t.Errorf("by a bang: %s to %s", response.Status, response.Header.Get("Location"))
	}
}

// Search finds trees, instances and computers by a part of their names, and anything by its id.
func TestSearchFindsByNameAndById(t *testing.T) {
	b := open(t, &fleet{trees: 30, computers: 3}, Config{})
	found := text(b.get("/search?q=TREE+00007", http.StatusOK))
	if !strings.Contains(found, "tree 00007") || strings.Contains(found, "tree 00008") {
		t.Errorf("found %s", found)
	}
	if found := text(b.get("/search?q=computer2/slappart3", http.StatusOK)); !strings.Contains(found, "computer2/slappart3") {
		t.Errorf("found %s", found)
	}
	for query, to := range map[string]string{hello: "/trees/" + hello, hello + ".b1": "/convergences/" + hello + ".b1", hello + ".i2": "/instances/" + hello + ".i2", hello + ".a2": "/instances/" + hello + ".a2"} {
		response, _ := b.do(b.request(http.MethodGet, "/search?q="+query, nil))
		if response.Header.Get("Location") != to {
			t.Errorf("%s leads to %q, want %s", query, response.Header.Get("Location"), to)
		}
	}
}

// With 5,000 partitions, in 5,000 trees and in one, every page is made in well under a second; the bound is generous, since this runs with the race detector on a busy machine.
func TestPagesOfFiveThousandPartitionsAreQuick(t *testing.T) {
	b := open(t, &fleet{trees: 5000, computers: 500}, Config{})
	const bound = 10 * time.Second
	for _, path := range append(pages(), "/trees/"+big, "/convergences/"+big+".c1", "/instances/"+big+".i4000", "/trees?page=50", "/agenda?page=50", "/?page=5") {
		began := time.Now()
		response, body := b.do(b.request(http.MethodGet, path, nil))
		took := time.Since(began)
		t.Logf("%-55s %4d ms %7d bytes", path, took.Milliseconds(), len(body))
		if response.StatusCode != http.StatusOK || took > bound {
			t.Errorf("%s: %s after %s", path, response.Status, took)
		}
		if len(body) > 1<<20 {
			t.Errorf("%s is %d bytes large", path, len(body))
		}
	}
	seen := map[string]bool{}
	for _, path := range []string{"/trees", "/trees?page=2", "/trees?page=51"} {
		for n := range b.get(path, http.StatusOK).Descendants() {
			if href := attribute(n, "href"); strings.HasPrefix(href, "/trees/t") && !strings.Contains(href, "/bangs") {
				seen[href] = true
			}
		}
	}
	if len(seen) != 201 {
		t.Errorf("the first two pages and the last hold %d trees, want 201 of 5001", len(seen))
	}
}

// A configuration that cannot work is refused with the flag's name.
func TestAWrongConfigurationNamesTheFlag(t *testing.T) {
	for flag, cfg := range map[string]Config{
		"--trace-url": {MaxLive: 1, TraceURL: "javascript:alert({trace_id})"}, "--max-live": {MaxLive: -1},
		"--address": {MaxLive: 1, Config: rpc.Config{Address: "0.0.0.0:1"}},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
