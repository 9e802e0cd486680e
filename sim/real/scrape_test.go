package real

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app/supervisor"
)

// TestPrometheusShowsDataInEveryPanelAndFiresWhatIsWrong has Debian's Prometheus scrape the real services with the shipped configuration: every query of every panel returns data, every rule
// and panel names what exists, exemplars lead to traces, and the alert of a refused bang fires.
func TestPrometheusShowsDataInEveryPanelAndFiresWhatIsWrong(t *testing.T) {
	s := begin(t)
	p := s.prometheus()
	release := s.releaseWithQuota(3)
	tree := s.request(release, "hello")
	// A walk of svc-master counts colours at its start and every minute: this one has something to count.
	s.master.restart9()
	await(t, "the colours are counted", func() bool { return len(p.query(`vow_partition_count{vow_colour="green"}`)) > 0 })
	await(t, "nothing was refused yet", func() bool { return len(p.query(`vow_bang_requests_total{vow_bang_outcome="refused"} == 0`)) > 0 })

	ctx := t.Context()
	client := supervisor.NewClient(filepath.Join(s.dir, "supervisor"))
	victim := s.unit(ctx, client, "web")
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the exit banged", func() bool { return len(s.bangsOf(ctx, tree.GetTreeId())) > 0 })
	traces := s.bangUntilRefused(p, tree.GetTreeId())
	if _, err := s.trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: "no-such-tree"}}); err == nil {
		t.Fatal("a tree that does not exist")
	}
	// Its installation is measured between two scrapes.
	if _, err := s.software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: s.releaseWithQuota(3), Computer: "laptop"}); err != nil {
		t.Fatal(err)
	}

	p.showEveryPanel()
	p.nameWhatExists()
	await(t, "VowBangsRefused fires", func() bool { return slices.Contains(p.firing(), "VowBangsRefused") })
	await(t, "an exemplar leads to the trace of a bang", func() bool {
		return slices.ContainsFunc(p.exemplars("vow_convergence_duration_seconds_bucket"), func(id string) bool { return slices.Contains(traces, id) })
	})
}

// releaseWithQuota is a copy of the sample whose trees may bang so often a day.
func (s *suite) releaseWithQuota(quota int) string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "hello")
	err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "examples", "hello")))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "bang-quota"), []byte(strconv.Itoa(quota)), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return "file://" + dir
}

// bangUntilRefused bangs a tree until its quota is used up, and returns the traces. The next bang waits until Prometheus has seen the convergence of the one before: between two
// scrapes of the same series it must have grown.
func (s *suite) bangUntilRefused(p *prometheus, tree string) (traces []string) {
	s.t.Helper()
	for n := range 10 {
		await(s.t, "the convergence is over, and scraped", func() bool {
			return len(p.query(fmt.Sprintf("sum(vow_convergence_duration_seconds_count) > %d and on () sum(vow_run_duration_seconds_count{vow_run_cause=\"bang\"}) >= %d", n, 3*(n+1)))) > 0
		})
		response, err := s.bangs.Bang(s.t.Context(), &masterv1.BangRequest{
			RequestId: fmt.Sprint("prometheus-", n), Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "test", Target: &masterv1.BangRequest_TreeId{TreeId: tree},
		})
		if err != nil {
			return traces
		}
		traces = append(traces, response.GetResults()[0].GetTraceId())
	}
	s.t.Fatalf("%d bangs were accepted", len(traces))
	return nil
}

// prometheus is one that scrapes the suite.
type prometheus struct {
	t      *testing.T
	url    string
	client *http.Client
}

// prometheus starts Debian's with the shipped configuration, scraping faster, until the end of the test.
func (s *suite) prometheus() *prometheus {
	s.t.Helper()
	t, dir := s.t, s.t.TempDir()
	config, err := os.ReadFile(filepath.Join(observability, "prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(config)
	for _, faster := range [][2]string{{"scrape_interval: 15s", "scrape_interval: 500ms"}, {"scrape_timeout: 10s", "scrape_timeout: 500ms"}, {"evaluation_interval: 15s", "evaluation_interval: 500ms"}} {
		if !strings.Contains(text, faster[0]) {
			t.Fatalf("prometheus.yaml does not say %q", faster[0])
		}
		text = strings.Replace(text, faster[0], faster[1], 1)
	}
	var targets strings.Builder
	for _, name := range []string{"svc-master", "svc-scheduler", "svc-promise", "svc-node"} {
		fmt.Fprintf(&targets, "- targets: [%s]\n  labels: {service: %s}\n", s.address[name+"-admin"], name)
	}
	err = os.CopyFS(filepath.Join(dir, "rules"), os.DirFS(filepath.Join(observability, "rules")))
	for name, content := range map[string]string{"prometheus.yaml": text, "targets/suite.yaml": targets.String(), "targets/collector/none.yaml": "[]\n"} {
		if err == nil {
			_ = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755) // the next line says so
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddresses(t, 1)[0]
	log := &strings.Builder{}
	command := exec.Command(debian(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature=exemplar-storage", "--log.level=warn")
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // killed: what it stored is not asked for again
		if t.Failed() {
			t.Logf("prometheus: %s", log)
		}
	})
	p := &prometheus{t, "http://" + address, &http.Client{Timeout: patience}}
	await(t, "Prometheus is ready", func() bool {
		response, err := p.client.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// ask reads data of its API.
func (p *prometheus) ask(path string, arguments url.Values, data any) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path+"?"+arguments.Encode(), http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	answer := struct{ Data any }{data}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %v: %s %v\n%s", path, arguments, response.Status, err, body)
	}
}

// query returns the values of an expression now that are numbers.
func (p *prometheus) query(expression string) (values []float64) {
	p.t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	p.ask("/api/v1/query", url.Values{"query": {expression}}, &data)
	for _, one := range data.Result {
		text, _ := one.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values
}

func (p *prometheus) firing() (names []string) {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	p.ask("/api/v1/alerts", nil, &data)
	for _, a := range data.Alerts {
		if a.State == "firing" {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}

// exemplars are the trace ids of a metric.
func (p *prometheus) exemplars(metric string) (ids []string) {
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	from := time.Now().Add(-time.Hour).Unix()
	p.ask("/api/v1/query_exemplars", url.Values{"query": {metric}, "start": {strconv.FormatInt(from, 10)}, "end": {strconv.FormatInt(time.Now().Unix()+1, 10)}}, &data)
	for _, series := range data {
		for _, e := range series.Exemplars {
			ids = append(ids, e.Labels["trace_id"])
		}
	}
	return ids
}

// eachTarget tells what the panels of all dashboards ask, each with the titles of its dashboard and panel and its place there.
func eachTarget[T any](t *testing.T, tell func(panel string, n int, target T)) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(observability, "grafana", "dashboards", "*.json"))
	for _, file := range files {
		var board struct {
			Title  string
			Panels []struct {
				Title   string
				Targets []T
			}
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &board)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, panel := range board.Panels {
			for n, target := range panel.Targets {
				tell(board.Title+", "+panel.Title, n, target)
			}
		}
	}
}

// panelQueries are the expressions of the panels of all dashboards, by dashboard and panel, as Grafana would ask them.
func panelQueries(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	eachTarget(t, func(panel string, _ int, target struct{ RefID, Expr string }) {
		if target.Expr != "" { // the others ask for traces: make e2e-jaeger
			found[panel+", "+target.RefID] = strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
		}
	})
	if len(found) < 40 {
		t.Fatalf("only %d queries in the dashboards", len(found))
	}
	return found
}

// showEveryPanel waits until each query returns a number.
func (p *prometheus) showEveryPanel() {
	p.t.Helper()
	missing := panelQueries(p.t)
	defer func() {
		for panel, expression := range missing {
			p.t.Logf("no data: %s: %s", panel, expression)
		}
	}()
	await(p.t, "every panel shows data", func() bool {
		for panel, expression := range missing {
			if len(p.query(expression)) > 0 {
				delete(missing, panel)
			}
		}
		return len(missing) == 0
	})
}

var (
	// selectors and groupings have names of labels, which are not names of metrics.
	selectors = regexp.MustCompile(`\{[^}]*\}|\b(by|without|on|ignoring) ?\([^)]*\)`)
	metric    = regexp.MustCompile(`\b(vow|rpc|db|go)[_:][a-z0-9_:]+|\bup\b`)
)

// nameWhatExists holds the names of metrics in all rules against those that were scraped or recorded. Limits are counted from the first hit on only, which this fleet has not had.
func (p *prometheus) nameWhatExists() {
	p.t.Helper()
	var known []string
	p.ask("/api/v1/label/__name__/values", nil, &known)
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError string }
		}
	}
	p.ask("/api/v1/rules", nil, &data)
	rules := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			rules++
			if rule.Health != "ok" {
				p.t.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
			}
			for _, name := range metric.FindAllString(selectors.ReplaceAllString(rule.Query, ""), -1) {
				if !slices.Contains(known, name) && name != "vow_limit_hits_total" {
					p.t.Errorf("%s asks for %s, which does not exist", rule.Name, name)
				}
			}
		}
	}
	if rules < 20 {
		p.t.Errorf("only %d rules were loaded", rules)
	}
}
