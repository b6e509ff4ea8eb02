package creditctl

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/signing"
)

func (t *target) esignCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "esign", Short: "Signing of contracts"}
	cmd.AddCommand(&cobra.Command{Use: "code <user id>", Short: "The newest one-time code of a user; the development stack only, which sends none", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := signing.ReadCode(devstack.CodesDir(t.stateDir), args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("no code was sent to %s by the development stack with state in %s", args[0], t.stateDir)
			}
			if err != nil {
				return err
			}
			err = text.Fprintf(cmd.OutOrStdout(), "%s  challenge %s, good until %s\n", c.Code, c.ChallengeID, c.ExpireTime.UTC().Format(time.RFC3339))
			return err
		}})
	return cmd
}
