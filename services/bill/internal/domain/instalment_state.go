package domain

// InstalmentState is the state of an instalment of a loan that has begun. The
// numbers are stored.
type InstalmentState uint8

const (
	// InstalmentOpen is owed, wholly or in part.
	InstalmentOpen InstalmentState = 1
	// InstalmentPaid is paid in full.
	InstalmentPaid InstalmentState = 2
)

// String is the name, such as "OPEN".
func (s InstalmentState) String() string {
	return nameOf([]string{"", "OPEN", "PAID"}, uint8(s), "INSTALMENT_STATE")
}
