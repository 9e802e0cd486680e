package store

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestASnapshotFileSaysWhatWasPutInAndNoBitOfItMayChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := snapshot{RunID: rapid.String().Draw(t, "run id"), Clean: rapid.Bool().Draw(t, "clean")}
		for _, key := range rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "keys") {
			in.Keys = append(in.Keys, keyValue{Key: key, Type: "string", Values: []string{string(rapid.SliceOf(rapid.Byte()).Draw(t, "value"))}})
		}
		b, err := in.encode()
		if err != nil {
			t.Fatal(err)
		}
		out, err := decodeSnapshot(b)
		if err != nil || out.RunID != in.RunID || out.Clean != in.Clean || len(out.Keys) != len(in.Keys) {
			t.Fatalf("put in %+v, got %+v, %v", in, out, err)
		}
		for i := range in.Keys {
			if out.Keys[i].Key != in.Keys[i].Key || out.Keys[i].Values[0] != in.Keys[i].Values[0] {
				t.Fatalf("put in %+v, got %+v", in.Keys[i], out.Keys[i])
			}
		}
		b[rapid.IntRange(0, len(b)-1).Draw(t, "place")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decodeSnapshot(b); err == nil {
			t.Fatal("a changed bit was not noticed")
		}
	})
}

func FuzzDecodingASnapshotFileNeverPanics(f *testing.F) {
	good, err := snapshot{RunID: "x", Keys: []keyValue{{Key: "k", Type: "set", Values: []string{"a"}}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = decodeSnapshot(b) })
}

// BenchmarkWalk measures how long a snapshot keeps the embedded store from answering.
func BenchmarkWalkOfTenThousandKeys(b *testing.B) {
	s, err := Open(b.Context(), Config{Embedded: true}, Settings{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop(b.Context())
	p := s.client.Pipeline()
	for i := range 10_000 {
		p.HSet(b.Context(), "{s01}t:"+time.Duration(i).String(), "a", "1", "b", "2", "c", "some value of a usual length, protobuf for example")
	}
	if _, err := p.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := walk(b.Context(), s.client, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScriptOnTheEmbeddedStore(b *testing.B) {
	s, err := Open(b.Context(), Config{Embedded: true}, Settings{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop(b.Context())
	script := NewScript("set", `return redis.call('HSET', KEYS[1], 'a', ARGV[1])`)
	for b.Loop() {
		if err := s.Run(b.Context(), script, []string{"{s01}k"}, "v").Err(); err != nil {
			b.Fatal(err)
		}
	}
}
