package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// counters is what a stack has used and done up to a moment. Differences count.
type counters struct {
	// cpu of each process.
	cpu map[string]time.Duration
	// calls answered, by service and method, as the services' own metrics have them.
	calls map[string]float64
	// commits of transactions that wrote, of the whole server: InnoDB's trx_rw_commits. It counts autocommitted writes too, and
	// neither reads nor transactions that changed nothing.
	commits int64
	// flushes of files to disk, mostly of the log: group commit lets many transactions share one.
	flushes int64
}

func (s *stack) counters(ctx context.Context) (counters, error) {
	cpu, err := s.cpuTimes()
	if err != nil {
		return counters{}, err
	}
	c := counters{cpu: cpu, calls: map[string]float64{}}
	for _, name := range servicesWithSchema() {
		text, err := get(ctx, "http://"+s.opsAddr[name]+"/metrics")
		if err != nil {
			return c, fmt.Errorf("read the metrics of %s: %w", name, err)
		}
		addCalls(c.calls, name, text)
	}
	err = s.admin.QueryRowContext(ctx, `SELECT
		(SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rw_commits'),
		(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'INNODB_DATA_FSYNCS')`).Scan(&c.commits, &c.flushes)
	if err != nil {
		return c, fmt.Errorf("read the database's counters: %w", err)
	}
	return c, nil
}

func (s *stack) cpuTimes() (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for name, pid := range s.pids() {
		used, err := cpuTime(pid)
		if err != nil {
			return nil, fmt.Errorf("read the processor time of %s: %w", name, err)
		}
		out[name] = used
	}
	return out, nil
}

// addCalls reads the counts of calls out of a service's metrics (Prometheus text format): all codes of a method together.
func addCalls(into map[string]float64, service, text string) {
	const metric = "creditpay_rpc_seconds_count{"
	for line := range strings.Lines(text) {
		labels, ok := strings.CutPrefix(line, metric)
		if !ok {
			continue
		}
		_, rest, ok := strings.Cut(labels, `method="`)
		if !ok {
			continue
		}
		method, _, _ := strings.Cut(rest, `"`)
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
		if err == nil {
			into[service+" "+method[strings.LastIndexByte(method, '/')+1:]] += value
		}
	}
}

// since gives what was used and done between an earlier moment and c, by key; keys without change are left out.
func (c counters) since(before counters) counters {
	d := counters{cpu: map[string]time.Duration{}, calls: map[string]float64{}, commits: c.commits - before.commits, flushes: c.flushes - before.flushes}
	for name, used := range c.cpu {
		d.cpu[name] = used - before.cpu[name]
	}
	for key, n := range c.calls {
		if n != before.calls[key] {
			d.calls[key] = n - before.calls[key]
		}
	}
	return d
}
