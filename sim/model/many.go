package model

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Many is how far a series of seeds is.
type Many struct {
	// Seeds to run, how many have run and how many of those broke a rule.
	Seeds, Ran, Broken int
	// Total of all, and the real time that it took.
	Total Summary
	Took  time.Duration
}

// RunMany runs worlds, one per processor at once, until ctx ends. ended is called after each, by one goroutine at a time; err is a *Broken if a rule broke.
func RunMany(ctx context.Context, worlds []Config, ended func(m Many, err error)) Many {
	m := Many{Seeds: len(worlds)}
	start := time.Now()
	queue := make(chan Config)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for cfg := range queue {
				s, err := RunOrReplay(cfg)
				mu.Lock()
				m.Ran++
				if err != nil {
					m.Broken++
				}
				m.Total.Add(&s)
				m.Took = time.Since(start)
				ended(m, err)
				mu.Unlock()
			}
		})
	}
	for _, cfg := range worlds {
		select {
		case queue <- cfg:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
	return m
}

func (m Many) String() string {
	return fmt.Sprintf("%d of %d seeds, %d broke a rule, in %s: %.0f seeds a second, %.0f × real time",
		m.Ran, m.Seeds, m.Broken, m.Took.Round(time.Millisecond), float64(m.Ran)/m.Took.Seconds(), m.Total.Virtual.Seconds()/m.Took.Seconds())
}
