package real

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/vow-os/vow/kit/telemetry/story"
)

// theTrace is the trace of one process's bang in the sample's tree, as docs/telemetry.md draws it, without the parts beneath `step profile`: those are the profile's.
const theTrace = `exit (svc-node)
  bang (svc-master)
    converge (svc-master)
    fan out (svc-scheduler)
      order run (svc-scheduler)
        run (svc-node)
          begin run (svc-master)
          evaluate promise (svc-promise)
          report run (svc-master)
          step prepare (svc-node)
          step profile (svc-node)
          step promises (svc-node)
            exec store-listens (svc-node)
          step release (svc-node)
          step services (svc-node)
      order run (svc-scheduler)
        run (svc-node)
          begin run (svc-master)
          evaluate promise (svc-promise)
          report run (svc-master)
          step prepare (svc-node)
          step profile (svc-node)
          step promises (svc-node)
            exec web-listens (svc-node)
          step release (svc-node)
          step services (svc-node)
      order run (svc-scheduler)
        run (svc-node)
          begin run (svc-master)
          report run (svc-master)
          step prepare (svc-node)
          step profile (svc-node)
          step promises (svc-node)
          step release (svc-node)
          step services (svc-node)
`

// again is how often a sensor was executed: until its services are up, every 50 ms (docs/rules.md, sensing in a run), which depends on how fast they start.
var again = regexp.MustCompile(`(exec [a-z-]+ \(svc-node\)) ×\d+`)

// TestTheDemoConvergesAndItsTraceIsExactlyTheStory runs `vow demo` with an OTLP endpoint over real sockets and compares what arrived.
func TestTheDemoConvergesAndItsTraceIsExactlyTheStory(t *testing.T) {
	receiver := story.NewReceiver()
	defer receiver.Close()
	id := demo(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL)
	expectTheStory(t, receiver.Spans(), id)
}

// demo runs `vow demo` with an environment and returns the trace of its bang.
func demo(t *testing.T, env ...string) string {
	t.Helper()
	command := exec.Command(executable(t, "vow"), "demo", "-o", "json")
	command.Env = append(append(os.Environ(), "OTEL_BSP_SCHEDULE_DELAY=100"), env...)
	var failure strings.Builder
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		t.Fatalf("vow demo: %v\n%s", err, failure.String())
	}
	var result struct {
		TraceID       string  `json:"trace_id"`
		KillToBang    float64 `json:"kill_to_bang_seconds"`
		KillToConverg float64 `json:"kill_to_converged_seconds"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("vow demo wrote %q: %v", out, err)
	}
	t.Logf("kill to bang %.1f ms, kill to converged %.1f ms", result.KillToBang*1000, result.KillToConverg*1000)
	return result.TraceID
}

// expectTheStory compares the trace of an id with theTrace.
func expectTheStory(t *testing.T, spans []story.Span, id string) {
	t.Helper()
	trace := story.Assemble(spans)[id]
	if trace == nil {
		t.Fatalf("no span of trace %s arrived", id)
	}
	if len(trace.Orphans) > 0 || len(trace.Roots) != 1 {
		t.Errorf("want one root and no orphans:\n%s", trace.Draw())
	}
	var drawn strings.Builder
	for line := range strings.Lines(trace.Draw()) {
		if !strings.HasPrefix(strings.TrimSpace(line), "part ") {
			drawn.WriteString(line)
		}
	}
	if got := again.ReplaceAllString(drawn.String(), "$1"); got != theTrace {
		t.Errorf("got:\n%s\nwant:\n%s", got, theTrace)
	}
}
