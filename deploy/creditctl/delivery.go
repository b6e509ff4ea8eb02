package creditctl

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/text"
)

const deliveryStatePrefix = "DELIVERY_STATE_"

func (t *target) deliveryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delivery", Short: "What receivers were told, attempt by attempt"}
	cmd.AddCommand(t.deliveryListCommand(), t.deliveryShowCommand(), t.deliveryResendCommand())
	return cmd
}

// withNotification runs a command with a client of the notification service.
func (t *target) withNotification(cmd *cobra.Command, do func(ctx context.Context, client notificationv1.NotificationAdminServiceClient) error) error {
	ctx, conn, err := t.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return do(ctx, notificationv1.NewNotificationAdminServiceClient(conn))
}

func (t *target) deliveryListCommand() *cobra.Command {
	req := &notificationv1.ListDeliveriesRequest{}
	var state, from, to string
	most := 0
	cmd := &cobra.Command{Use: "list", Short: "List them, newest first", Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringVar(&req.EndpointId, "endpoint", "", "those to this endpoint")
	f.StringVar(&req.OrderId, "order", "", "those about this order")
	f.StringVar(&req.EventType, "type", "", "those of this type, such as order.paid")
	f.StringVar(&state, "delivery-state", "", "pending, delivered, gave_up or stopped; empty: all")
	f.StringVar(&from, "from", "", "RFC 3339 time to begin at; empty: from the beginning")
	f.StringVar(&to, "to", "", "RFC 3339 time to end before; empty: until now")
	f.IntVar(&most, "limit", 200, "at most this many")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if state != "" {
			value, ok := notificationv1.DeliveryState_value[deliveryStatePrefix+strings.ToUpper(state)]
			if !ok || value == 0 {
				return fmt.Errorf("--delivery-state: %q is none of pending, delivered, gave_up, stopped", state)
			}
			req.State = notificationv1.DeliveryState(value)
		}
		var err error
		if req.FromTime, err = timeFlag("from", from); err != nil {
			return err
		}
		if req.ToTime, err = timeFlag("to", to); err != nil {
			return err
		}
		return t.withNotification(cmd, func(ctx context.Context, client notificationv1.NotificationAdminServiceClient) error {
			return listDeliveries(ctx, cmd.OutOrStdout(), client, req, most)
		})
	}
	return cmd
}

func listDeliveries(ctx context.Context, out io.Writer, client notificationv1.NotificationAdminServiceClient, req *notificationv1.ListDeliveriesRequest, most int) error {
	total := 0
	for total < most {
		req.PageSize = int32(min(most-total, 100))
		res, err := client.ListDeliveries(ctx, req)
		if err != nil {
			return err
		}
		for _, d := range res.GetDeliveries() {
			total++
			printDelivery(out, d)
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	err := text.Fprintf(out, "%d deliveries\n", total)
	return err
}

func printDelivery(out io.Writer, d *notificationv1.Delivery) {
	next := ""
	if d.GetNextTime() != nil {
		next = "  next " + d.GetNextTime().AsTime().Format(time.RFC3339)
	}
	to := d.GetEndpointId()
	if d.GetUrl() != "" {
		to += " at " + d.GetUrl()
	}
	_ = text.Fprintf(out, "%s  %s  %-9s %-24s %s  %d attempts%s\n    %s to %s  %s\n", d.GetDeliveryId(), d.GetCreateTime().AsTime().Format(time.RFC3339),
		strings.TrimPrefix(d.GetState().String(), deliveryStatePrefix), d.GetEventType(), d.GetOrderId(), d.GetAttempts(), next,
		d.GetEventId(), to, d.GetLastError())
}

func (t *target) deliveryShowCommand() *cobra.Command {
	return &cobra.Command{Use: "show <delivery id>", Short: "A delivery with its body and its attempts", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withNotification(cmd, func(ctx context.Context, client notificationv1.NotificationAdminServiceClient) error {
				res, err := client.GetDelivery(ctx, &notificationv1.GetDeliveryRequest{DeliveryId: args[0]})
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				printDelivery(out, res.GetDelivery())
				_ = text.Fprintf(out, "body  %s\n", res.GetBody())
				for _, a := range res.GetAttempts() {
					verdict := a.GetError()
					if verdict == "" {
						verdict = "acknowledged"
					}
					_ = text.Fprintf(out, "  #%d  %s  HTTP %d  %s  %s  %q\n", a.GetAttemptNo(), a.GetStartTime().AsTime().Format("2006-01-02T15:04:05.000Z"),
						a.GetHttpStatus(), time.Duration(a.GetLatencyUs())*time.Microsecond, verdict, a.GetAnswer())
				}
				return nil
			})
		}}
}

func (t *target) deliveryResendCommand() *cobra.Command {
	return &cobra.Command{Use: "resend <delivery id>...", Short: "Send them again at once, each from the first rung of its ladder", Args: cobra.RangeArgs(1, 100),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withNotification(cmd, func(ctx context.Context, client notificationv1.NotificationAdminServiceClient) error {
				for _, id := range args {
					if _, err := client.ResendDelivery(ctx, &notificationv1.ResendDeliveryRequest{RequestId: "creditctl-" + rand.Text(), DeliveryId: id}); err != nil {
						return fmt.Errorf("%s: %w", id, err)
					}
					_ = text.Fprintf(cmd.OutOrStdout(), "%s  is being sent\n", id)
				}
				return nil
			})
		}}
}
