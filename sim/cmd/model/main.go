// Command model runs the pure cores of vow in virtual time, seed after seed, and tells which rule breaks (sim/model).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/vow-os/vow/sim/model"
)

func main() {
	seeds := flag.Int("seeds", 1000, "how many seeds to run")
	seed := flag.Uint64("seed", 1, "the first seed")
	nodes := flag.Int("nodes", 5, "the most machines of a world")
	days := flag.Int("days", 0, "days to go on for after everything converged")
	fleet := flag.Bool("fleet", false, "worlds of exactly -nodes machines, troubled for a day")
	transcript := flag.Bool("transcript", false, "print all that happens to the first seed, and run no other")
	flag.Parse()
	worlds := make([]model.Config, *seeds)
	for i := range worlds {
		worlds[i] = model.Configure(*seed+uint64(i), *nodes)
		if *fleet {
			worlds[i] = model.ConfigureFleet(*seed+uint64(i), *nodes)
		}
		worlds[i].Days = *days
	}
	if *transcript && *seeds > 0 {
		worlds[0].Transcript = os.Stdout
		if _, err := model.Run(worlds[0]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	told := time.Duration(0)
	done := model.RunMany(ctx, worlds, func(m model.Many, err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if m.Took-told > 10*time.Second {
			told = m.Took
			fmt.Println(m)
		}
	})
	stop()
	fmt.Println(done)
	fmt.Println(done.Total.String())
	if done.Broken > 0 {
		os.Exit(1)
	}
}
