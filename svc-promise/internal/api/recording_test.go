package api

import (
	"context"
	"runtime"
	"testing"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
)

// Whatever the pace of reading and recording, every batch that was taken is recorded once and in order, before finish returns.
func TestEveryBatchIsRecordedOnceAndInOrder(t *testing.T) {
	const all = 2000
	batches, done := make(chan batch), make(chan []uint64)
	go func() {
		var numbers []uint64
		for one := range batches {
			numbers = append(numbers, one.number)
		}
		done <- numbers
	}()
	r := newRecording(t.Context(), nil, "one", func(one batch) { batches <- one })
	for n := range all {
		if err := r.take(&promisev1.SenseRequest{Batch: uint64(n + 1)}); err != nil {
			t.Fatal(err)
		}
		if n%7 == 0 { // the recorder has caught up and is gone
			for len(r.waiting) > 0 || len(r.turn) > 0 {
				runtime.Gosched()
			}
		}
	}
	r.finish()
	close(batches)
	numbers := <-done
	if len(numbers) != all {
		t.Fatalf("%d batches were recorded, want %d", len(numbers), all)
	}
	for n, number := range numbers {
		if number != uint64(n+1) {
			t.Fatalf("batch %d was recorded as number %d", number, n+1)
		}
	}
}

// When the stream ended, nothing that waits keeps finish from returning, also when nobody takes batches any more.
func TestAnEndedStreamIsFinishedWithoutItsBatches(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newRecording(ctx, nil, "one", func(batch) { <-ctx.Done() })
	for range 2 { // one is being recorded, one waits
		if err := r.take(&promisev1.SenseRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	r.finish()
	for range 2 { // the first may still find room
		if r.take(&promisev1.SenseRequest{}) != nil {
			return
		}
	}
	t.Error("a stream that ended takes batches on and on")
}
