package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vow-os/vow/tools/cluster/api"
)

// scraped asks Prometheus which of its targets it reaches: it found them by the headless Services' names.
func (t *Trial) scraped(ctx context.Context) (string, error) {
	p, err := t.one(ctx, "prometheus")
	if err != nil {
		return "", err
	}
	pids, err := processes(p)
	if err != nil {
		return "", err
	}
	// From within: only Grafana may call it.
	from := clientFrom(dialFrom(pids[0]))
	up := map[string]int{}
	err = api.Await(ctx, "all targets to be up", func() (bool, error) {
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					Labels            map[string]string
					Health, LastError string
				}
			}
		}
		if err := read(ctx, from, "http://127.0.0.1:9090/api/v1/targets", &answer); err != nil {
			return false, err
		}
		clear(up)
		var down error
		for _, target := range answer.Data.ActiveTargets {
			if name := target.Labels["job"]; target.Health == "up" {
				up[name]++
			} else if strings.HasPrefix(name, "svc-") || name == "console" {
				down = errors.Join(down, fmt.Errorf("%s is %s: %s", name, target.Health, target.LastError))
			}
		}
		missing := 0
		for _, w := range t.workloads() {
			if strings.HasPrefix(w.Name, "svc-") || w.Name == "console" {
				missing += max(0, replicas(w)-up[w.Name])
			}
		}
		return missing == 0 && down == nil, errors.Join(down, fmt.Errorf("%d are missing of what is up: %v", missing, up))
	})
	return fmt.Sprintf("targets up: %v", up), err
}

// read reads JSON.
func read(ctx context.Context, from *http.Client, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := from.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}
