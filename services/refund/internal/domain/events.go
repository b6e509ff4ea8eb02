package domain

// Event is what other services are told.
type Event interface{ event() }

// Changed tells that a refund is in another state.
type Changed struct {
	Refund Refund
	From   State
}

func (Changed) event() {}
