package builtin

import "testing"

func TestAmountsReadAsPsutils(t *testing.T) {
	for bytes, want := range map[float64]string{0: "0.0B", 200e6: "190.7M", 1e9: "953.7M", 2e9: "1.9G"} {
		expect(t, human(bytes), want)
	}
}
