package creditctl

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/text"
)

func (t *target) notificationCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "notification", Short: "What the marketplace told of cash and did not fit, or gave twice"}
	var misfit, from, to string
	list := &cobra.Command{Use: "list", Short: "List them, newest first, beside the leg that they name", Args: cobra.NoArgs}
	list.Flags().StringVar(&misfit, "misfit", "", "mismatch (another amount or currency), contradiction (to what was told before) or paid_twice (the payer has too much by it); empty: all")
	list.Flags().StringVar(&from, "from", "", "RFC 3339 time to begin at; empty: from the beginning")
	list.Flags().StringVar(&to, "to", "", "RFC 3339 time to end before; empty: until now")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		req, err := unfitRequest(misfit, from, to)
		if err != nil {
			return err
		}
		ctx, conn, err := t.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		return listUnfit(ctx, cmd.OutOrStdout(), paymentv1.NewPaymentAdminServiceClient(conn), req)
	}
	cmd.AddCommand(list)
	return cmd
}

func unfitRequest(misfit, from, to string) (*paymentv1.ListUnfitNotificationsRequest, error) {
	req := &paymentv1.ListUnfitNotificationsRequest{}
	if misfit != "" {
		value, ok := paymentv1.Misfit_value["MISFIT_"+strings.ToUpper(misfit)]
		if !ok || value == 0 {
			return nil, fmt.Errorf("--misfit: %q is none of mismatch, contradiction and paid_twice", misfit)
		}
		req.Misfit = paymentv1.Misfit(value)
	}
	var err error
	if req.FromTime, err = timeFlag("from", from); err != nil {
		return nil, err
	}
	req.ToTime, err = timeFlag("to", to)
	return req, err
}

// timeFlag reads an RFC 3339 time; nil when the flag is empty.
func timeFlag(name, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", name, err)
	}
	return timestamppb.New(at), nil
}

func listUnfit(ctx context.Context, out io.Writer, client paymentv1.PaymentAdminServiceClient, req *paymentv1.ListUnfitNotificationsRequest) error {
	total := 0
	for {
		res, err := client.ListUnfitNotifications(ctx, req)
		if err != nil {
			return err
		}
		for _, n := range res.GetNotifications() {
			total++
			printUnfit(out, n)
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			_ = text.Fprintf(out, "%d notifications did not fit\n", total)
			return nil
		}
	}
}

func printUnfit(out io.Writer, n *paymentv1.UnfitNotification) {
	leg := n.GetLeg()
	_ = text.Fprintf(out, "%s  %s  %-13s %s %d %s  by %s, request %s\n    %s  %s of %s: %d %s, was %s, is %s\n", n.GetNotificationId(),
		n.GetCreateTime().AsTime().Format(time.RFC3339), strings.TrimPrefix(n.GetMisfit().String(), "MISFIT_"),
		strings.TrimPrefix(n.GetStatus().String(), "EXTERNAL_LEG_STATUS_"), n.GetAmount().GetAmountMinor(), n.GetAmount().GetCurrencyCode(),
		n.GetCaller(), n.GetRequestId(), leg.GetReference(), leg.GetSubjectId(), leg.GetUserId(), leg.GetAmount().GetAmountMinor(),
		leg.GetAmount().GetCurrencyCode(), strings.TrimPrefix(n.GetStateThen().String(), "LEG_STATE_"), strings.TrimPrefix(leg.GetState().String(), "LEG_STATE_"))
}
