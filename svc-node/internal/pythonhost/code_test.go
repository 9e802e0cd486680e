package pythonhost

import (
	"fmt"
	"testing"
)

func TestAnEditIsNoticedAtOnceAlsoOneOfTheSameLength(t *testing.T) {
	s := newStage(t).asUser(65534)
	for i := range 20 {
		body := fmt.Sprintf("\n  def sense(self):\n    self.logger.info('edit %02d')\n", i)
		want := fmt.Sprintf("INFO edit %02d", i)
		for range 1 + i%3 {
			if got := text(s.sense(body)); got != want {
				t.Fatalf("it says %s, want %s", got, want)
			}
		}
	}
}
