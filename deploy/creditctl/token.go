package creditctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/text"
)

// kindsHelp lists the kinds of callers for flags.
const kindsHelp = "SPM, H5, ADMIN, MERCHANT, CHANNEL or SERVICE"

func parseKind(text string) (caller.Kind, error) {
	kind, ok := caller.ParseKind(strings.ToUpper(text))
	if !ok {
		return 0, fmt.Errorf("--kind: %q is none of %s", text, kindsHelp)
	}
	return kind, nil
}

// keyPairCommand makes a key for tokens: every process gets the public file, and the one that signs the private one.
func keyPairCommand() *cobra.Command {
	var kinds []string
	var file, keySet string
	var bound auth.Bound
	cmd := &cobra.Command{Use: "keypair <directory>", Args: cobra.ExactArgs(1),
		Short: "Make a key for tokens of a kind and a name: CREDITPAY_TOKEN_SIGNING_KEY_FILE and CREDITPAY_TOKEN_KEYS_FILE",
		Long: "Make a key for tokens of a kind and a name. The private key goes into a file of its own, which is never overwritten; the\n" +
			"public key is added to the key set, whose other entries stay. A service's key signs for that service alone:\n\n" +
			"  creditctl keypair keys --kind SERVICE --name order     keys/service-order.json, keys/token-keys.json\n" +
			"  creditctl keypair keys --kind ADMIN --name '*'         keys/admin.json: operators of any name"}
	f := cmd.Flags()
	f.StringSliceVar(&kinds, "kind", nil, "what it may sign for: "+kindsHelp)
	f.StringSliceVar(&bound.Names, "name", nil, `whom it may sign for ("sub"): a service's or marketplace's name; "*" for any, where a kind allows it`)
	f.StringVar(&bound.Owner, "owner", "", `for H5 and MERCHANT: the marketplace whose payers and merchants it may sign for; the home one when absent, "*" for all`)
	f.StringVar(&file, "file", "", "name of the private key's file; made of kind and name when absent")
	f.StringVar(&keySet, "keys", "", "file of the key set; "+auth.KeySetFile+" in the directory when absent")
	for _, name := range []string{"kind", "name"} {
		_ = cmd.MarkFlagRequired(name) // It exists: a line above made it.
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, text := range kinds {
			kind, err := parseKind(text)
			if err != nil {
				return err
			}
			bound.Kinds = append(bound.Kinds, kind)
		}
		if file == "" {
			file = privateName(kinds, bound)
		}
		if keySet == "" {
			keySet = filepath.Join(args[0], auth.KeySetFile)
		}
		if err := os.MkdirAll(args[0], 0o700); err != nil {
			return fmt.Errorf("make the directory of the keys: %w", err)
		}
		private := filepath.Join(args[0], file)
		signer, err := auth.WriteKeyPair(auth.NewKeyPair{PrivateFile: private, KeySetFile: keySet, Bound: bound})
		if err != nil {
			return err
		}
		err = text.Fprintf(cmd.OutOrStdout(), "%s  %s, for %s only; keep it secret\n%s  for every process\n", private, signer.KeyID(), bound, keySet)
		return err
	}
	return cmd
}

// privateName is the usual name of a private key's file: "service-order.json", "admin.json", "h5-of-b.json".
func privateName(kinds []string, b auth.Bound) string {
	name := strings.ToLower(strings.Join(kinds, "-"))
	if len(b.Names) > 0 && b.Names[0] != auth.Any {
		name += "-" + strings.Join(b.Names, "-")
	}
	if b.Owner != "" && b.Owner != auth.Any {
		name += "-of-" + b.Owner
	}
	return strings.ReplaceAll(name, string(filepath.Separator), "-") + ".json"
}

// tokenCommand makes a token. It needs the private key, so it is for whoever may decide who may call.
func tokenCommand() *cobra.Command {
	var key, kind string
	var roles []string
	var c caller.Caller
	var lifetime time.Duration
	var factor bool
	cmd := &cobra.Command{Use: "token", Short: "Make a bearer token for a caller", Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "file of the private key (see keypair)")
	f.StringVar(&kind, "kind", "ADMIN", kindsHelp)
	f.StringVar(&c.Name, "name", "", "the caller's own name: a person or a program")
	f.StringVar(&c.UserID, "user", "", `whose data it sees, for H5; "<owner>~<user>" in another marketplace than the home one`)
	f.StringVar(&c.MerchantID, "merchant", "", "whose orders it sees, for MERCHANT")
	f.StringVar(&c.Owner, "owner", "", "the merchant's marketplace, for MERCHANT; the home one when absent")
	f.StringSliceVar(&roles, "role", nil, "what an operator may do, for ADMIN: "+strings.Join(caller.EveryRole().Names(), ", "))
	f.BoolVar(&factor, "second-factor", false, "the payer showed a second factor just now, for H5")
	f.DurationVar(&lifetime, "lifetime", 12*time.Hour, "how long it is good")
	for _, name := range []string{"key", "name"} {
		_ = cmd.MarkFlagRequired(name) // It exists: a line above made it.
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signer, err := auth.LoadSigner(key)
		if err != nil {
			return err
		}
		if c.Kind, err = parseKind(kind); err != nil {
			return err
		}
		if c.Roles, err = caller.ParseRoles(roles); err != nil {
			return fmt.Errorf("--role: %w", err)
		}
		if c.Kind == caller.H5 {
			c.Owner, _ = caller.SplitUserID(c.UserID)
		}
		if factor {
			c.FactorTime = time.Now().Unix()
		}
		token, err := signer.Mint(c, lifetime, time.Now())
		if err != nil {
			return err
		}
		err = text.Fprintf(cmd.OutOrStdout(), "%s\n", token)
		return err
	}
	return cmd
}

// revokeCommand adds an entry to a revocation list.
func revokeCommand() *cobra.Command {
	var file, tokenFile, before string
	var r auth.Revocation
	cmd := &cobra.Command{Use: "revoke", Short: "Refuse tokens that are good: CREDITPAY_TOKEN_REVOKED_FILE", Args: cobra.NoArgs,
		Long: "Add an entry to the revocation list that every process reads. Name one token (--jti or --token-file), a key (--kid), or a\n" +
			"caller (--kind with --name, --user or --merchant), whose tokens issued up to now are refused. Processes follow within a second."}
	f := cmd.Flags()
	f.StringVar(&file, "file", os.Getenv("CREDITPAY_TOKEN_REVOKED_FILE"), "file of the revocation list (CREDITPAY_TOKEN_REVOKED_FILE)")
	f.StringVar(&r.TokenID, "jti", "", "id of one token")
	f.StringVar(&tokenFile, "token-file", "", "file with the token to refuse, instead of its id")
	f.StringVar(&r.KeyID, "kid", "", "id of a key, for all its tokens")
	f.StringVar(&r.Kind, "kind", "", "kind of a caller: "+kindsHelp)
	f.StringVar(&r.Name, "name", "", "the caller's own name")
	f.StringVar(&r.UserID, "user", "", "the payer, for H5")
	f.StringVar(&r.MerchantID, "merchant", "", "the merchant, for MERCHANT")
	f.StringVar(&before, "issued-before", "", "time up to which the caller's tokens were issued, such as 2026-01-31T10:00:00Z; now when absent")
	f.StringVar(&r.Reason, "reason", "", "why, for people")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" {
			return fmt.Errorf("name the file of the revocation list with --file or CREDITPAY_TOKEN_REVOKED_FILE")
		}
		r.Time, r.Kind = time.Now().UTC().Truncate(time.Second), strings.ToUpper(r.Kind)
		if tokenFile != "" {
			id, err := tokenIDIn(tokenFile)
			if err != nil {
				return err
			}
			r.TokenID = id
		}
		if r.Kind != "" {
			// Tokens carry whole seconds: those of this second are refused too.
			r.IssuedBefore = r.Time.Add(time.Second)
		}
		if before != "" {
			var err error
			if r.IssuedBefore, err = time.Parse(time.RFC3339, before); err != nil {
				return fmt.Errorf("--issued-before: %q is not a time such as 2026-01-31T10:00:00Z", before)
			}
		}
		if err := auth.Revoke(file, r); err != nil {
			return err
		}
		err := text.Fprintf(cmd.OutOrStdout(), "%s  one more entry; every process that reads it follows within a second\n", file)
		return err
	}
	return cmd
}

// tokenIDIn reads the id of the token in a file. Nothing is verified: refusing a forged token does no harm.
func tokenIDIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	var body jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(strings.TrimSpace(string(text)), &body); err != nil || body.ID == "" {
		return "", fmt.Errorf("%s holds no token with an id", path)
	}
	return body.ID, nil
}
