package agenda

// Cause is why a run is due. Of several due causes the first in this order names the run (docs/rules.md; docs/words.md, cause).
type Cause int

// The causes, in the order in which they win. The values are those of vow.type.v1.Cause.
const (
	None Cause = iota
	Manual
	FromBang
	Changed
	Boot
	Retry
	Periodicity
)

// Causes is the length of an array indexed by Cause.
const Causes = int(Periodicity) + 1

// String is the word of the cause in reasons and telemetry.
func (c Cause) String() string {
	names := [Causes]string{"none", "manual", "bang", "changed", "boot", "retry", "periodicity"}
	if c < None || c > Periodicity {
		return "unknown"
	}
	return names[c]
}
