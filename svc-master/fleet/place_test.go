package fleet

import (
	"testing"
)

func TestPlaceIsChosenOnlyWhereTheReleaseIsSuppliedElseTheReasonIsExact(t *testing.T) {
	laptop := ComputerView{Name: "laptop", Supplied: true, Partitions: 3, Free: []string{"slappart10", "slappart2"}}
	full := ComputerView{Name: "laptop", Supplied: true, Partitions: 3}
	bare := ComputerView{Name: "bare", Partitions: 8, Free: []string{"slappart0", "slappart1", "slappart2", "slappart3"}}
	rack := ComputerView{Name: "rack", Supplied: true, Partitions: 9, Free: []string{"slappart7", "slappart08", "slappart8"}}
	away := ComputerView{Name: "away", Supplied: true, Partitions: 2, Free: []string{"b", "a"}}
	for _, c := range []struct {
		sentence  string
		computer  string
		computers []ComputerView
		want      Chosen
		reason    string
	}{
		{"the first free partition in natural order", "laptop", []ComputerView{bare, laptop}, Chosen{"laptop", "slappart2"}, ""},
		{"most free partitions win", "", []ComputerView{laptop, bare, rack}, Chosen{"rack", "slappart7"}, ""},
		{"ties go by name", "", []ComputerView{laptop, away}, Chosen{"away", "a"}, ""},
		{"the computer that was asked for wins over one with more room", "laptop", []ComputerView{rack, laptop}, Chosen{"laptop", "slappart2"}, ""},
		{"an unknown computer", "laptpo", []ComputerView{laptop}, Chosen{}, "computer laptpo is unknown"},
		{"a computer without the release", "bare", []ComputerView{laptop, bare}, Chosen{}, "software release file:///hello is not supplied to bare"},
		{"no computer with the release", "", []ComputerView{bare}, Chosen{}, "software release file:///hello is supplied to no computer"},
		{"no computer at all", "", nil, Chosen{}, "no computer is registered"},
		{"a full computer", "laptop", []ComputerView{full, rack}, Chosen{}, "3 of 3 partitions of laptop hold instances"},
		{"all full", "", []ComputerView{full, bare, {Name: "away", Supplied: true, Partitions: 2}}, Chosen{}, "2 of 2 partitions of away hold instances, 3 of 3 partitions of laptop hold instances"},
		{"a computer without partitions", "", []ComputerView{{Name: "new", Supplied: true}}, Chosen{}, "new has no partitions"},
		{"many full computers are told in short", "", manyFull(), Chosen{}, "1 of 1 partitions of c0 hold instances, 1 of 1 partitions of c1 hold instances, 1 of 1 partitions of c2 hold instances, 1 of 1 partitions of c3 hold instances, 1 of 1 partitions of c4 hold instances, and so on for 3 more computers"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got, reason, ok := ChoosePlace(PlaceRequest{Release: "file:///hello", Computer: c.computer}, c.computers)
			if got != c.want || reason != c.reason || ok != (c.reason == "") {
				t.Errorf("got %v %q %t, want %v %q", got, reason, ok, c.want, c.reason)
			}
		})
	}
}

func manyFull() []ComputerView {
	var all []ComputerView
	for _, name := range []string{"c7", "c6", "c5", "c4", "c3", "c2", "c1", "c0"} {
		all = append(all, ComputerView{Name: name, Supplied: true, Partitions: 1})
	}
	return all
}

func TestNaturalOrderIsAnOrder(t *testing.T) {
	names := []string{"", "a", "a1", "a01", "a1b", "a2", "a10", "b", "1", "9", "10"}
	for _, a := range names {
		if natural(a, a) != 0 {
			t.Errorf("%q differs from itself", a)
		}
		for _, b := range names {
			if a != b && natural(a, b)*natural(b, a) != -1 {
				t.Errorf("%q and %q are not in order: %d, %d", a, b, natural(a, b), natural(b, a))
			}
		}
	}
}
