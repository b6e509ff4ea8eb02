package bench

import (
	"errors"
	"fmt"
	"time"
)

// Options say what is measured.
type Options struct {
	// Buyers that purchase at the same time, and workers of the yardsticks.
	Buyers int
	// Rounds of floor, limit and stack, one after the other, so that noise of the machine hits all alike.
	Rounds int
	// Duration of the load of each.
	Duration time.Duration
	// Sweep is further numbers of buyers, one round each; empty for none.
	Sweep []int
	// REST adds a round in which the payer's calls go through the gateway.
	REST bool
	// FillOrders is how many orders the database is filled with before the last rounds; 0 for no fill.
	FillOrders int
	// BillDayLoans is how many running loans are billed in one night, on a database of their own; 0 for none.
	BillDayLoans int
	// Endpoints is how many webhook endpoints hear of events beside bad ones; 0 for none.
	Endpoints int
	// Backlog is how many deliveries to those endpoints are due when the service comes back from a standstill; 0 for none.
	Backlog int
	// WebhooksOnly leaves everything else out.
	WebhooksOnly bool
	// BillDayOnly leaves everything else out.
	BillDayOnly bool
	// Devstack adds the start and the memory of the development stack.
	Devstack bool
	// YardsticksOnly leaves the services out.
	YardsticksOnly bool
	// StateDir is where a directory for this run is made, removed at the end unless Keep.
	StateDir string
	// Keep leaves the run's directory, with the logs of all processes.
	Keep bool
	// BinDir is where the services' binaries are built.
	BinDir string
	// BufferPoolMB is InnoDB's cache in MiB.
	BufferPoolMB int
}

// Validate tells what is wrong.
func (o Options) Validate() error {
	var wrong error
	if o.Buyers < 1 || o.Buyers > 1000 {
		wrong = errors.Join(wrong, errors.New("buyers must be 1 to 1000"))
	}
	for _, n := range o.Sweep {
		if n < 1 || n > 1000 {
			wrong = errors.Join(wrong, fmt.Errorf("sweep: %d buyers are not 1 to 1000", n))
		}
	}
	if o.Rounds < 1 || o.Rounds > 100 {
		wrong = errors.Join(wrong, errors.New("rounds must be 1 to 100"))
	}
	if o.Duration < 100*time.Millisecond || o.Duration > time.Hour {
		wrong = errors.Join(wrong, errors.New("seconds must be 0.1 to 3600"))
	}
	if o.FillOrders < 0 || o.FillOrders > 100_000_000 {
		wrong = errors.Join(wrong, errors.New("the orders to fill must be 0 to 100 million"))
	}
	if o.BillDayLoans < 0 || o.BillDayLoans > 10_000_000 || (o.BillDayLoans > 0 && o.BillDayLoans < 400) {
		wrong = errors.Join(wrong, errors.New("the loans to bill must be none, or 400 to 10 million"))
	}
	if o.Endpoints < 0 || o.Endpoints > 10_000 || (o.Endpoints > 0 && o.Endpoints < 10) {
		wrong = errors.Join(wrong, errors.New("the endpoints must be none, or 10 to 10,000"))
	}
	if o.Backlog < 0 || o.Backlog > 10_000_000 {
		wrong = errors.Join(wrong, errors.New("the backlog must be 0 to 10 million"))
	}
	if o.BufferPoolMB < 64 {
		wrong = errors.Join(wrong, errors.New("the buffer pool must be 64 MiB or more"))
	}
	return wrong
}
