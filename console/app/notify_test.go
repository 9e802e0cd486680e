package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/vow-os/vow/console/notify"
)

// TestATreeThatTurnsIsToldToAWebhookWithItsLink has a tree turn Red, its bangs refused, and Green again, before a real HTTP receiver that refuses the first attempt.
func TestATreeThatTurnsIsToldToAWebhookWithItsLink(t *testing.T) {
	got := make(chan notify.Message, 10)
	attempts := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if attempts++; attempts == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var m notify.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		got <- m
	}))
	defer receiver.Close()
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.json")
	content := fmt.Sprintf(`{"link": "https://console.example.org/", "hold": "0s", "group": "1s", "webhooks": [{"name": "test", "url": %q}]}`, receiver.URL)
	if err := os.WriteFile(rules, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fleet{red: true}
	open(t, f, Config{Notify: rules, NotifyState: filepath.Join(dir, "state")})
	told := map[notify.Kind]notify.Fact{}
	for told[notify.TreeRed].Kind == "" || told[notify.BangsRefused].Kind == "" {
		for _, item := range (<-got).Items {
			told[item.Kind] = item
		}
	}
	f.turn(false)
	for told[notify.TreeGreen].Kind == "" {
		for _, item := range (<-got).Items {
			told[item.Kind] = item
		}
	}
	for kind, link := range map[notify.Kind]string{notify.TreeRed: "/trees/" + hello, notify.TreeGreen: "/trees/" + hello, notify.BangsRefused: "/trees/" + hello + "/bangs?withheld=1"} {
		if told[kind].Link != "https://console.example.org"+link {
			t.Errorf("%s has the link %q", kind, told[kind].Link)
		}
	}
	if len(told) != 3 || told[notify.TreeRed].Text == "" {
		t.Errorf("told %v", told)
	}
}
