package domain

// End is from which end of what is due deliveries are taken.
//
// The ends take turns, so that half of the places goes to those that wait longest, and a backlog drains, and half to those that became due
// last, and nothing new waits behind the backlog: neither a new event, nor a retry whose rung has come, nor what a dead process left. They do
// so twice: among all, which decides whose delivery is next, and at each endpoint, which decides which of its deliveries that is. The first
// alone would starve what lies at one end of an endpoint whose place becomes free at every second look.
type End int8

// The ends of what is due.
const (
	WaitsLongest End = 1
	DueLast      End = 2
)

// String is the end's name.
func (e End) String() string {
	if e == DueLast {
		return "DUE_LAST"
	}
	return "WAITS_LONGEST"
}

// Next is the end whose turn is after this one.
func (e End) Next() End {
	if e == DueLast {
		return WaitsLongest
	}
	return DueLast
}
