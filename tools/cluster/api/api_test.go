package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// served is an API server that knows ConfigMaps and answers to a change as it is told.
func served(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true}]}`)
	})
	mux.HandleFunc("PATCH /api/v1/namespaces/vow/configmaps/one", answer)
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return New(s.URL, "secret", "test")
}

var one = manifest.Object{APIVersion: "v1", Kind: "ConfigMap", Name: "one", Namespace: "vow", YAML: []byte("kind: ConfigMap")}

func TestWhatTheServerWarnsOfIsAnError(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Warning", `299 - "deprecated"`)
		fmt.Fprint(w, "{}")
	})
	if err := c.Apply(t.Context(), one, false); err == nil || !strings.Contains(err.Error(), "deprecated") {
		t.Errorf("an object with a warning was applied: %v", err)
	}
}

func TestARefusalSaysWhyAndWithWhichStatus(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"message":"the budget is used up"}`)
	})
	err := c.Apply(t.Context(), one, false)
	if !IsStatus(err, http.StatusTooManyRequests) || err.Error() != "the budget is used up" {
		t.Errorf("refused with %v", err)
	}
}

func TestADryRunSaysSo(t *testing.T) {
	asked := make(chan string, 2)
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Query().Get("dryRun")
		fmt.Fprint(w, "{}")
	})
	for _, dry := range []bool{true, false} {
		if err := c.Apply(t.Context(), one, dry); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := <-asked, <-asked; first != "All" || second != "" {
		t.Errorf("dryRun is %q and %q", first, second)
	}
}

func TestWaitingEndsWithWhatWasMissing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Await(ctx, "a pod", func() (bool, error) { cancel(); return false, errors.New("no node has room") })
	if err == nil || !strings.Contains(err.Error(), "a pod: no node has room") {
		t.Errorf("waiting ended with %v", err)
	}
}
