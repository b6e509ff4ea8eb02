// Package creditctl owns the operator's command line: proof of the books, an order's story, the outbox, dead letters,
// notifications of cash that did not fit, refunds, deliveries to receivers, tokens, and the development clock.
//
// It must not change a row itself: it reads schemas for the audit, and asks services for everything else.
package creditctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/deploy/audit"
	"github.com/creditpay/creditpay/deploy/devstack"
)

// ErrFindings is answered when the audit found something; the command then exits with 1.
var ErrFindings = errors.New("the books are not proven")

// target is where the commands look and whom they ask.
type target struct {
	stateDir, grpcAddr, token, tokenFile string
	tls                                  tlsFiles
	// as names which of the development stack's operators calls.
	as      string
	dsns    map[string]*string
	timeout time.Duration
}

// New makes the command.
func New(out io.Writer) *cobra.Command {
	t := &target{dsns: map[string]*string{}}
	root := &cobra.Command{Use: "creditctl", Short: "Operate a Credit Pay suite", SilenceUsage: true, SilenceErrors: true,
		Long: "Operate a Credit Pay suite. Without flags it finds the development stack by its state directory; for any other\n" +
			"suite name its gRPC address, an operator's token, and for the audit each service's DSN."}
	root.SetOut(out)
	f := root.PersistentFlags()
	f.StringVar(&t.stateDir, "state", env("STATE_DIR", ".local"), "state directory of the development stack (CREDITPAY_STATE_DIR)")
	f.StringVar(&t.grpcAddr, "grpc", env("CTL_GRPC_ADDR", ""), "gRPC address (CREDITPAY_CTL_GRPC_ADDR)")
	f.StringVar(&t.tokenFile, "token-file", env("CTL_TOKEN_FILE", ""), "file with an operator's token (CREDITPAY_CTL_TOKEN_FILE)")
	t.tls.flags(f)
	f.StringVar(&t.as, "as", "admin_token", "who calls the development stack: admin_token, approver_token or second_approver_token")
	f.DurationVar(&t.timeout, "timeout", 30*time.Second, "time for one command")
	for _, name := range []string{"order", "payment", "bill", "refund", "notification"} {
		t.dsns[name] = f.String(name+"-dsn", env("CTL_"+strings.ToUpper(name)+"_DSN", ""), "DSN of the "+name+" schema, for the audit")
	}
	root.AddCommand(t.credentialCommand(), t.auditCommand(), t.orderCommand(), t.clockCommand(), t.outboxCommand(), t.deadLetterCommand(), t.jobCommand(), t.notificationCommand(),
		t.refundCommand(), t.approvalCommand(), t.deliveryCommand(), t.esignCommand(), kafkaACLsCommand(), keyPairCommand(), tokenCommand(), revokeCommand())
	return root
}

func env(name, otherwise string) string {
	if v := os.Getenv("CREDITPAY_" + name); v != "" {
		return v
	}
	return otherwise
}

// find fills what no flag gave from the development stack.
func (t *target) find() error {
	if t.tokenFile != "" {
		text, err := os.ReadFile(t.tokenFile)
		if err != nil {
			return fmt.Errorf("read the token: %w", err)
		}
		t.token = strings.TrimSpace(string(text))
	}
	if t.grpcAddr != "" && t.token != "" {
		return nil
	}
	info, creds, err := devstack.ReadInfo(t.stateDir)
	if err != nil {
		return err
	}
	if t.grpcAddr == "" {
		t.grpcAddr = info.GRPC
	}
	if t.token == "" {
		t.token, err = credential(creds, t.as)
	}
	return err
}

// credential finds one of the development stack's credentials by the name that it has in the file.
func credential(creds devstack.Credentials, name string) (string, error) {
	text, err := json.Marshal(creds)
	if err != nil {
		return "", err
	}
	var byName map[string]string
	if err := json.Unmarshal(text, &byName); err != nil {
		return "", err
	}
	value, ok := byName[name]
	if !ok {
		return "", fmt.Errorf("no credential %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(byName)), ", "))
	}
	return value, nil
}

func (t *target) credentialCommand() *cobra.Command {
	return &cobra.Command{Use: "credential <name>", Short: "Print one of the development stack's credentials: spm_token, h5_token, h5_pin, …", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, creds, err := devstack.ReadInfo(t.stateDir)
			if err != nil {
				return err
			}
			value, err := credential(creds, args[0])
			if err != nil {
				return err
			}
			err = text.Fprintf(cmd.OutOrStdout(), "%s\n", value)
			return err
		}}
}

func (t *target) auditCommand() *cobra.Command {
	var every time.Duration
	var listen, format string
	var settle time.Duration
	cmd := &cobra.Command{Use: "audit", Short: "Prove the books; exit 1 and name the ids when something is wrong", Args: cobra.NoArgs}
	cmd.Flags().DurationVar(&every, "every", 0, "repeat, and serve the result as a metric")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9099", "address of /metrics with --every")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().DurationVar(&settle, "settle", 10*time.Second, "how long findings may take to vanish while events are on their way")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := t.auditConfig()
		if err != nil {
			return err
		}
		c.Settle = settle
		if every > 0 {
			return serveAudit(cmd.Context(), cmd.OutOrStdout(), c, every, listen)
		}
		r, err := audit.Run(cmd.Context(), c)
		if err != nil {
			return err
		}
		return printReport(cmd.OutOrStdout(), r, format)
	}
	return cmd
}

func (t *target) auditConfig() (audit.Config, error) {
	c := audit.Config{Order: *t.dsns["order"], Payment: *t.dsns["payment"], Bill: *t.dsns["bill"], Refund: *t.dsns["refund"],
		Notification: *t.dsns["notification"]}
	if c.Order != "" && c.Payment != "" && c.Bill != "" && c.Refund != "" {
		return c, nil
	}
	info, _, err := devstack.ReadInfo(t.stateDir)
	if err != nil {
		return c, fmt.Errorf("%w; for another suite give --order-dsn, --payment-dsn, --bill-dsn and --refund-dsn", err)
	}
	c.Order, c.Payment, c.Bill, c.Refund = info.Schemas["order"], info.Schemas["payment"], info.Schemas["bill"], info.Schemas["refund"]
	c.Notification = info.Schemas["notification"]
	offset, err := devstack.ClockOffset(t.stateDir)
	c.Now = func() time.Time { return time.Now().Add(offset) }
	return c, err
}

func printReport(out io.Writer, r audit.Report, format string) error {
	if format == "json" {
		if err := text.FprintIndentedJSON(out, r); err != nil {
			return err
		}
	} else {
		for _, f := range r.Findings {
			_ = text.Fprintf(out, "%-8s %-28s %s  %s\n", f.Service, f.Check, f.ID, f.Text)
		}
		_ = text.Fprintf(out, "audit: %d checks, %d orders compared across services, %d findings\n", r.Checks, r.Orders, len(r.Findings))
	}
	if len(r.Findings) > 0 {
		return ErrFindings
	}
	return nil
}

func (t *target) orderCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "order", Short: "Orders"}
	cmd.AddCommand(&cobra.Command{Use: "show <order id>", Short: "An order's story across the services", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, conn, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			res, err := orderv1.NewOrderServiceClient(conn).GetOrderDetail(ctx, &orderv1.GetOrderDetailRequest{OrderId: args[0]})
			if err != nil {
				return err
			}
			printOrder(cmd.OutOrStdout(), res.GetDetail())
			return nil
		}})
	return cmd
}

func printOrder(out io.Writer, d *orderv1.OrderDetail) {
	p := func(format string, args ...any) { _ = text.Fprintf(out, format+"\n", args...) }
	o := d.GetOrder()
	p("order     %s  %s", o.GetOrderId(), strings.TrimPrefix(o.GetState().String(), "ORDER_STATE_"))
	p("checkout  %s", o.GetCheckoutId())
	p("merchant  %s  number %s", o.GetMerchantId(), o.GetOutOrderNo())
	p("user      %s", o.GetUserId())
	p("amount    %d %s  paid %d  refunded %d", o.GetAmount().GetAmountMinor(), o.GetAmount().GetCurrencyCode(),
		o.GetPaidAmount().GetAmountMinor(), o.GetRefundedAmount().GetAmountMinor())
	for _, l := range d.GetLegs() {
		p("leg       %s %s %d %s  %s", l.GetKind(), l.GetChannel(), l.GetAmount().GetAmountMinor(), l.GetState(), l.GetReference())
	}
	if d.GetLoanId() != "" {
		p("loan      %s  %s", d.GetLoanId(), d.GetLoanState())
	}
	for _, number := range d.GetContractIds() {
		p("contract  %s", number)
	}
	for _, i := range d.GetPlan().GetInstalments() {
		p("  #%d due %s  %d = principal %d + interest %d + fee %d", i.GetSequence(), i.GetDueDate(), i.GetTotal().GetAmountMinor(),
			i.GetPrincipal().GetAmountMinor(), i.GetInterest().GetAmountMinor(), i.GetFee().GetAmountMinor())
	}
	p("timeline")
	for _, e := range d.GetTimeline() {
		p("  %s  %-8s %-32s %-11s → %-11s %s: %s", e.GetTime().AsTime().Format("2006-01-02T15:04:05.000Z"), e.GetService(), e.GetObjectId(),
			e.GetFromState(), e.GetToState(), e.GetActor(), e.GetCause())
	}
	for _, part := range d.GetUnavailableParts() {
		p("! the %s service could not be asked; what it owns is missing above", part)
	}
}

func (t *target) clockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "clock", Short: "The development stack's clock"}
	cmd.AddCommand(&cobra.Command{Use: "advance <duration>", Short: "Move it forward: 36h, 15d, 90m", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseDuration(args[0])
			if err != nil {
				return err
			}
			ctx, conn, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			res, err := opsv1.NewOpsServiceClient(conn).AdvanceClock(ctx, &opsv1.AdvanceClockRequest{Duration: durationpb.New(d)})
			if err != nil {
				return err
			}
			err = text.Fprintf(cmd.OutOrStdout(), "the clock is at %s\n", res.GetNow().AsTime().Format(time.RFC3339))
			return err
		}})
	return cmd
}

// parseDuration reads Go durations and whole days ("15d").
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err == nil && n > 0 && n <= 400 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
		return 0, fmt.Errorf("%q is not 1d to 400d", s)
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no duration above zero, such as 90m, 36h or 15d", s)
	}
	return d, nil
}

func (t *target) outboxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "outbox", Short: "Events on their way out"}
	var service, from string
	replay := &cobra.Command{Use: "replay", Short: "Send a service's stored events again; receivers dedupe", Args: cobra.NoArgs}
	replay.Flags().StringVar(&service, "service", "", "order, payment or bill")
	replay.Flags().StringVar(&from, "from", "", "RFC 3339 time to begin at; empty: from the beginning")
	_ = replay.MarkFlagRequired("service") // It exists: the line above made it.
	replay.RunE = func(cmd *cobra.Command, _ []string) error {
		fromTime, err := timeFlag("from", from)
		if err != nil {
			return err
		}
		ctx, conn, err := t.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		res, err := opsv1.NewOpsServiceClient(conn).ReplayOutbox(ctx, &opsv1.ReplayOutboxRequest{Service: service, FromTime: fromTime})
		if err != nil {
			return err
		}
		err = text.Fprintf(cmd.OutOrStdout(), "%d events of %s are being sent again\n", res.GetEvents(), service)
		return err
	}
	cmd.AddCommand(replay)
	return cmd
}

func (t *target) deadLetterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deadletter", Short: "Events that could not be digested"}
	var all bool
	list := &cobra.Command{Use: "list", Short: "List them", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ctx, conn, err := t.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		return listDeadLetters(ctx, cmd.OutOrStdout(), opsv1.NewOpsServiceClient(conn), all)
	}}
	list.Flags().BoolVar(&all, "all", false, "also those that were replayed")
	replay := &cobra.Command{Use: "replay <id>...", Short: "Give them to their handler again", Args: cobra.RangeArgs(1, 100),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, conn, err := t.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			res, err := opsv1.NewOpsServiceClient(conn).ReplayDeadLetters(ctx, &opsv1.ReplayDeadLettersRequest{DeadLetterIds: args})
			if err != nil {
				return err
			}
			failed := 0
			for _, r := range res.GetResults() {
				verdict := "done"
				if r.GetError() != "" {
					verdict = r.GetError()
					failed++
				}
				_ = text.Fprintf(cmd.OutOrStdout(), "%s  %s\n", r.GetDeadLetterId(), verdict)
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d could not be digested", failed, len(args))
			}
			return nil
		}}
	cmd.AddCommand(list, replay)
	return cmd
}

func listDeadLetters(ctx context.Context, out io.Writer, client opsv1.OpsServiceClient, all bool) error {
	token, total := "", 0
	for {
		res, err := client.ListDeadLetters(ctx, &opsv1.ListDeadLettersRequest{IncludeReplayed: all, PageToken: token})
		if err != nil {
			return err
		}
		for _, d := range res.GetDeadLetters() {
			total++
			_ = text.Fprintf(out, "%s  %-8s %s  %s  %d tries\n    %s\n", d.GetDeadLetterId(), d.GetService(),
				d.GetCreateTime().AsTime().Format(time.RFC3339), filepath.Base(d.GetType()), d.GetAttempts(), d.GetError())
		}
		if token = res.GetNextPageToken(); token == "" {
			_ = text.Fprintf(out, "%d dead letters\n", total)
			return nil
		}
	}
}
