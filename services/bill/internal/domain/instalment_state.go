package domain

// InstalmentState is the state of an instalment of a loan that has begun. The
// numbers are stored.
type InstalmentState uint8

const (
	// InstalmentOpen is owed, wholly or in part, and not billed.
	InstalmentOpen InstalmentState = 1
	// InstalmentPaid has nothing open; something of it was paid, or it was never
	// anything.
	InstalmentPaid InstalmentState = 2
	// InstalmentBilled is owed, wholly or in part, and billed.
	InstalmentBilled InstalmentState = 3
	// InstalmentOverdue was not paid in time.
	InstalmentOverdue InstalmentState = 4
	// InstalmentCancelled was taken back before anything of it was paid.
	InstalmentCancelled InstalmentState = 5
	// InstalmentWrittenOff was given up, wholly or in part.
	InstalmentWrittenOff InstalmentState = 6
)

// String is the name, such as "OPEN".
func (s InstalmentState) String() string {
	return nameOf([]string{"", "OPEN", "PAID", "BILLED", "OVERDUE", "CANCELLED", "WRITTEN_OFF"}, uint8(s), "INSTALMENT_STATE")
}
