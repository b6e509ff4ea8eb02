// Command bench measures the suite and prints what it found. It exits 1 when purchases failed or the audit found something; a
// figure that misses its mark is printed as MISS and does not change the exit code, since it depends on the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creditpay/creditpay/deploy/bench"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	wrong, err := dispatch(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if wrong {
		return 1
	}
	return 0
}

// dispatch runs the hidden commands with which the bench starts itself as another process, or the bench.
func dispatch(ctx context.Context, args []string) (wrong bool, err error) {
	if len(args) == 3 {
		switch args[0] {
		case bench.LimitCommand:
			return false, bench.ServeLimit(ctx, args[1], args[2])
		case bench.BrokerCommand:
			return false, bench.ServeBroker(ctx, args[1], args[2])
		}
	}
	options, err := parse(args)
	if err != nil {
		return false, err
	}
	result, err := bench.Run(ctx, options, os.Stderr)
	if err != nil {
		return false, err
	}
	return result.Wrong(), result.Write(os.Stdout)
}

func parse(args []string) (bench.Options, error) {
	o := bench.Options{}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	seconds := flags.Float64("seconds", 10, "length of each measurement")
	quick := flags.Bool("quick", false, "2 s each, one round, no sweep, no fill: for CI")
	million := flags.Bool("million", true, "also measure on a database that holds -orders orders")
	sweep := flags.String("sweep", "1,8,32,128", "further numbers of buyers; empty for none")
	flags.IntVar(&o.Buyers, "buyers", 32, "buyers at the same time")
	flags.IntVar(&o.Rounds, "rounds", 3, "rounds of floor, limit and stack")
	flags.IntVar(&o.FillOrders, "orders", 1_000_000, "orders to fill the database with")
	flags.IntVar(&o.BillDayLoans, "loans", 200_000, "running loans that are billed in one night, on a database of their own; 0 for none")
	flags.IntVar(&o.Endpoints, "endpoints", 1000, "webhook endpoints that hear of events, a tenth of which hangs and a tenth fails; 0 for none")
	flags.IntVar(&o.Backlog, "backlog", 100_000, "deliveries to -endpoints that are due when the notification service comes back from a standstill; 0 for none")
	flags.BoolVar(&o.WebhooksOnly, "webhooks", false, "measure -endpoints only")
	flags.BoolVar(&o.BillDayOnly, "billday", false, "measure the billing of -loans only")
	flags.BoolVar(&o.REST, "rest", true, "also measure with the payer's calls through the gateway")
	flags.BoolVar(&o.Devstack, "devstack", true, "also start and weigh the development stack")
	flags.BoolVar(&o.YardsticksOnly, "yardsticks", false, "measure floor and limit only")
	flags.StringVar(&o.StateDir, "state", filepath.Join(".local", "bench"), "where the run's data goes; on the disk that is to be measured")
	flags.BoolVar(&o.Keep, "keep", false, "keep the run's data and logs")
	flags.StringVar(&o.BinDir, "bin", ".bin", "where the binaries are built")
	flags.IntVar(&o.BufferPoolMB, "buffer-pool-mb", 1024, "InnoDB's cache in MiB")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if *quick {
		shorten(&o, seconds, sweep, million, set)
	}
	if !*million {
		o.FillOrders = 0
	}
	o.Duration = time.Duration(*seconds * float64(time.Second))
	for _, n := range strings.FieldsFunc(*sweep, func(c rune) bool { return c == ',' }) {
		buyers, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil {
			return o, fmt.Errorf("-sweep: %q is no number", n)
		}
		o.Sweep = append(o.Sweep, buyers)
	}
	return o, nil
}

// quickLoans is how many loans a quick run bills, quickEndpoints how many endpoints hear of its events, quickBacklog how many deliveries to
// them are due after a standstill.
const (
	quickLoans     = 2000
	quickEndpoints = 50
	quickBacklog   = 5000
)

// shorten is -quick: what was not set on the command line is made short.
func shorten(o *bench.Options, seconds *float64, sweep *string, million *bool, set map[string]bool) {
	if !set["seconds"] {
		*seconds = 2
	}
	if !set["rounds"] {
		o.Rounds = 1
	}
	if !set["sweep"] {
		*sweep = ""
	}
	if !set["million"] && !set["orders"] {
		*million = false
	}
	if !set["endpoints"] {
		o.Endpoints = quickEndpoints
	}
	if !set["backlog"] {
		o.Backlog = quickBacklog
	}
	if !set["loans"] {
		o.BillDayLoans = quickLoans
	}
}
