package creditctl

import (
	"github.com/spf13/cobra"

	"github.com/creditpay/creditpay/deploy/kafkaacl"
)

// kafkaACLsCommand prints how to grant the services their rights at a Kafka cluster.
func kafkaACLsCommand() *cobra.Command {
	var prefix string
	c := &cobra.Command{Use: "kafka-acls", Short: "Print the commands that give each service its rights at Kafka, and no others", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return kafkaacl.Commands(cmd.OutOrStdout(), prefix) }}
	c.Flags().StringVar(&prefix, "user-prefix", "creditpay-", "what stands before a service's name in its user's name")
	return c
}
