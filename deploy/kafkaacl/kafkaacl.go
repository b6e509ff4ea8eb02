// Package kafkaacl owns what each service may do with each topic: the ACLs of a Kafka cluster, as the services declare them.
//
// It must not connect to a broker: an operator grants the rights.
package kafkaacl

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/creditpay/creditpay/pkg/kafkax"

	"github.com/creditpay/creditpay/services/bill"
	"github.com/creditpay/creditpay/services/notification"
	"github.com/creditpay/creditpay/services/order"
	"github.com/creditpay/creditpay/services/payment"
	"github.com/creditpay/creditpay/services/refund"
)

// Service is a service with what it does with Kafka.
type Service struct {
	Name   string
	Access kafkax.Access
}

// Services are all that talk to Kafka.
func Services() []Service {
	return []Service{{order.Name, order.Topics()}, {payment.Name, payment.Topics()}, {bill.Name, bill.Topics()}, {refund.Name, refund.Topics()},
		{notification.Name, notification.Topics()}}
}

// Rule is one right of a service, in Kafka's words.
type Rule struct {
	// Service has the right.
	Service string
	// Resource is "topic" or "group"; Name is its name.
	Resource, Name string
	// Operations are "Read", "Write" and "Describe".
	Operations []string
}

// Rules are all rights that the services need, and no others. Topics are made by an operator; a service that may make them does.
func Rules() []Rule {
	var out []Rule
	for _, s := range Services() {
		for _, topic := range s.Access.Writes {
			out = append(out, Rule{s.Name, "topic", topic, []string{"Write", "Describe"}})
		}
		for _, topic := range s.Access.Reads {
			out = append(out, Rule{s.Name, "topic", topic, []string{"Read", "Describe"}})
		}
		if s.Access.Group != "" {
			out = append(out, Rule{s.Name, "group", s.Access.Group, []string{"Read", "Describe"}})
		}
	}
	return out
}

// Table is the rights as a table of Markdown, a line for each topic.
func Table() string {
	writes, reads := map[string][]string{}, map[string][]string{}
	var topics []string
	for _, s := range Services() {
		for _, t := range s.Access.Writes {
			topics, writes[t] = append(topics, t), append(writes[t], s.Name)
		}
		for _, t := range s.Access.Reads {
			topics, reads[t] = append(topics, t), append(reads[t], s.Name)
		}
	}
	slices.Sort(topics)
	var b strings.Builder
	b.WriteString("| topic | who may write | who may read, as group `creditpay.<service>` |\n|---|---|---|\n")
	for _, t := range slices.Compact(topics) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", t, strings.Join(writes[t], ", "), strings.Join(reads[t], ", "))
	}
	return b.String()
}

// Commands writes the commands of Kafka's own tool that grant the rights, a line each. The user of a service is prefix and its name.
func Commands(w io.Writer, prefix string) error {
	for _, r := range Rules() {
		line := "kafka-acls.sh --bootstrap-server $BROKERS --command-config $ADMIN --add --allow-principal User:" + prefix + r.Service
		for _, o := range r.Operations {
			line += " --operation " + o
		}
		if _, err := fmt.Fprintf(w, "%s --%s %s\n", line, r.Resource, r.Name); err != nil {
			return err
		}
	}
	return nil
}
