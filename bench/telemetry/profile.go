package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/bench/load"
)

// profiling is long enough for some thousand samples.
const profiling = 10 * time.Second

// profile keeps profiles of each service under load, of processors and of what is allocated, in the directory PROFILE, for who wants to know what the figures are made of.
func profile(ctx context.Context, planes []*plane) error {
	dir := os.Getenv("PROFILE")
	if dir == "" {
		return nil
	}
	for _, p := range planes {
		var all sync.WaitGroup
		var failed [4]error
		for i, s := range p.plane.Services[:2] {
			path := filepath.Join(dir, strings.ReplaceAll(p.mode.name, " ", "-")+"-"+s.Name)
			all.Go(func() { failed[2*i] = keep(ctx, s, "profile", path+".pprof") })
			all.Go(func() { failed[2*i+1] = keep(ctx, s, "allocs", path+".allocs.pprof") })
		}
		if _, err := p.round(ctx, profiling+time.Second); err != nil {
			return err
		}
		all.Wait()
		for _, err := range failed {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func keep(ctx context.Context, s *load.Service, what, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", s.Admin(), what, int(profiling.Seconds())), http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: 2 * profiling}).Do(request)
	if err != nil {
		return fmt.Errorf("cannot profile %s: %w", s.Name, err)
	}
	defer response.Body.Close()
	f, err := os.Create(path) //nolint:gosec // the caller's
	if err != nil {
		return err
	}
	_, err = io.Copy(f, response.Body)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
