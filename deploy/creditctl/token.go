package creditctl

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
)

// keyPairCommand makes the keys of tokens: services get the public file, whoever makes tokens the private one.
func keyPairCommand() *cobra.Command {
	return &cobra.Command{Use: "keypair <directory>", Short: "Make a key for tokens: CREDITPAY_TOKEN_SIGNING_KEY_FILE and CREDITPAY_TOKEN_KEYS_FILE", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := auth.WriteKeyPair(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  keep it secret\n%s  for every process\n", filepath.Join(args[0], auth.SigningKeyFile),
				filepath.Join(args[0], auth.KeySetFile))
			return err
		}}
}

// tokenCommand makes a token. It needs the private key, so it is for whoever may decide who may call.
func tokenCommand() *cobra.Command {
	var key, kind string
	var roles []string
	var c caller.Caller
	var lifetime time.Duration
	cmd := &cobra.Command{Use: "token", Short: "Make a bearer token for a caller", Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "file of the private key (see keypair)")
	f.StringVar(&kind, "kind", "ADMIN", "SPM, H5, ADMIN, MERCHANT, CHANNEL or SERVICE")
	f.StringVar(&c.Name, "name", "", "the caller's own name: a person or a program")
	f.StringVar(&c.UserID, "user", "", "whose data it sees, for H5")
	f.StringVar(&c.MerchantID, "merchant", "", "whose orders it sees, for MERCHANT")
	f.StringSliceVar(&roles, "role", nil, "what an operator may do, for ADMIN: "+strings.Join(caller.EveryRole().Names(), ", "))
	f.DurationVar(&lifetime, "lifetime", 12*time.Hour, "how long it is good")
	for _, name := range []string{"key", "name"} {
		_ = cmd.MarkFlagRequired(name) // It exists: a line above made it.
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signer, err := auth.LoadSigner(key)
		if err != nil {
			return err
		}
		var ok bool
		if c.Kind, ok = caller.ParseKind(strings.ToUpper(kind)); !ok {
			return fmt.Errorf("--kind: %q is none of SPM, H5, ADMIN, MERCHANT, CHANNEL, SERVICE", kind)
		}
		if c.Roles, err = caller.ParseRoles(roles); err != nil {
			return fmt.Errorf("--role: %w", err)
		}
		token, err := signer.Mint(c, lifetime, time.Now())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		return err
	}
	return cmd
}
