package word

import typev1 "github.com/vow-os/vow/gen/vow/type/v1"

// Verdict is what the test and the anomaly detector of a promise say, and whether somebody knows: passed, failed, "failed, anomaly, muted".
func Verdict(v *typev1.Verdict) string {
	word := "passed"
	switch {
	case v.GetTestFailed() && v.GetAnomaly():
		word = "failed, anomaly"
	case v.GetTestFailed():
		word = "failed"
	case v.GetAnomaly():
		word = "anomaly"
	}
	if v.GetMute() != nil {
		word += ", muted"
	}
	return word
}
