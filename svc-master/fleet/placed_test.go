package fleet

import (
	"fmt"
	"slices"
	"testing"
)

// What is found by its partition comes in the order of the whole tree, and nothing else does.
func TestPlacedFindsInTheOrderOfTheTree(t *testing.T) {
	tree := &Tree{Header: Header{ID: "t1"}, Instances: map[string]*Instance{}, Partitions: map[string]*Partition{}}
	for n := range 120 {
		id := fmt.Sprintf("t1.i%d", n+1)
		tree.Instances[id] = &Instance{ID: id}
		if n%4 != 0 { // the others are not allocated
			tree.Partitions[id] = &Partition{Computer: fmt.Sprint("c", n%3)}
		}
	}
	tree.Partitions["t1.i999"] = &Partition{Computer: "c1"} // of an instance that is gone
	var want []string
	for _, i := range tree.Sorted() {
		if p := tree.Partitions[i.ID]; p != nil && p.Computer == "c1" {
			want = append(want, i.ID)
		}
	}
	var got []string
	for _, i := range tree.Placed(func(p *Partition) bool { return p.Computer == "c1" }) {
		got = append(got, i.ID)
	}
	if len(want) != 30 || !slices.Equal(got, want) {
		t.Fatalf("found %v, want %v", got, want)
	}
	got = nil
	for _, i := range tree.On("c1") {
		got = append(got, i.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("on c1 are %v, want %v", got, want)
	}
}
