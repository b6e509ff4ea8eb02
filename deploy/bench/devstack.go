package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

const devstackPackage = "github.com/creditpay/creditpay/deploy/devstack/cmd/devstack"

// Devstack is the development stack's start and weight.
type Devstack struct {
	// Healthy is the time from the start of the built program, with no data yet, to the first healthy answer.
	Healthy time.Duration
	// Again is the same for a second start, on the data of the first.
	Again time.Duration
	// ResidentMB is its memory (10^6 bytes) without MariaDB, ready and after its scripted purchase.
	ResidentMB float64
}

// measureDevstack builds the development stack and starts it twice.
func measureDevstack(ctx context.Context, bin, dir string, free *ports) (*Devstack, error) {
	program, err := filepath.Abs(filepath.Join(bin, "devstack"))
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, devstackPackage).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the development stack: %w\n%s", err, out)
	}
	var d Devstack
	if d.Healthy, d.ResidentMB, err = startDevstack(ctx, program, dir, free); err != nil {
		return nil, err
	}
	d.Again, _, err = startDevstack(ctx, program, dir, free)
	return &d, err
}

func startDevstack(ctx context.Context, program, dir string, free *ports) (healthy time.Duration, mb float64, err error) {
	rest, err1 := free.addr()
	grpc, err2 := free.addr()
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, err
	}
	p, err := startProcess("devstack", program, nil, map[string]string{
		"CREDITPAY_STATE_DIR": filepath.Join(dir, "devstack"), "CREDITPAY_HTTP_ADDR": rest, "CREDITPAY_GRPC_ADDR": grpc,
		"CREDITPAY_OPS_ADDR": "off",
	}, filepath.Join(dir, "devstack.log"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if healthy, err = p.until(ctx, 60*time.Second, answers("http://"+rest+"/healthz")); err != nil {
		return 0, 0, err
	}
	if _, err = p.until(ctx, 30*time.Second, answers("http://"+rest+"/readyz")); err != nil {
		return 0, 0, err
	}
	// Its scripted purchase is over when the loan is active; before that it would be weighed too early.
	if _, err = p.until(ctx, 30*time.Second, func(context.Context) error { return mentions(p.logPath, " is ACTIVE") }); err != nil {
		return 0, 0, err
	}
	mb, err = residentMB(p.pid())
	return healthy, mb, err
}
