package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	// MaxIssuers bounds the outside issuers.
	MaxIssuers = 16
	// maxIssuersFile bounds their file, in bytes.
	maxIssuersFile = 256 << 10
	// outsideName is the name ("sub") of payers' callers from outside: the page that the issuer signed them in for.
	outsideName = "oidc"
)

// IssuerConfig is an outside issuer of tokens by OpenID Connect, as it stands in the file of CREDITPAY_OIDC_FILE.
type IssuerConfig struct {
	// Issuer is the "iss" of its tokens, to the letter.
	Issuer string `json:"issuer"`
	// Audience must be among the "aud" of its tokens. Issuer and audience together are unique.
	Audience string `json:"audience"`
	// JWKSURL is where its public keys are (RFC 7517): https, or http on the loopback. One of JWKSURL and JWKSFile.
	JWKSURL string `json:"jwks_url,omitempty"`
	// JWKSFile is a file with its public keys, looked at again like a key set.
	JWKSFile string `json:"jwks_file,omitempty"`
	// Kind is what its tokens speak for: ADMIN or H5.
	Kind string `json:"kind"`
	// SubjectClaim names the claim with the operator's name, for ADMIN; "sub" when empty.
	SubjectClaim string `json:"subject_claim,omitempty"`
	// RolesClaim names the claim with the operator's groups or roles, for ADMIN: an array, or words with spaces between them; a dot
	// leads into an object ("realm_access.roles"). "roles" when empty.
	RolesClaim string `json:"roles_claim,omitempty"`
	// RoleMap maps to roles of this suite each group or role of the issuer, for ADMIN. What it does not name is passed over; a
	// token without any role is refused.
	RoleMap map[string][]string `json:"role_map,omitempty"`
	// UserClaim names the claim with the payer's user id, for H5; "sub" when empty.
	UserClaim string `json:"user_claim,omitempty"`
	// Owner is the marketplace whose payers the issuer knows, for H5; empty for the home marketplace.
	Owner string `json:"owner,omitempty"`
	// FactorMethods are the authentication methods ("amr", RFC 8176) that show a second factor, for H5. When empty: mfa, otp, sms, tel,
	// hwk, swk, sc, pop, pin, fpt, face, iris, retina, vbm.
	FactorMethods []string `json:"factor_methods,omitempty"`
}

// secondFactors are the authentication methods (RFC 8176) that show more than knowledge of a password.
func secondFactors() []string {
	return []string{"mfa", "otp", "sms", "tel", "hwk", "swk", "sc", "pop", "pin", "fpt", "face", "iris", "retina", "vbm"}
}

// anyFactor reports whether one of the methods is among the factors.
func anyFactor(methods, factors []string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(factors, m) })
}

// complete fills in what is absent and reports what is wrong.
func (c *IssuerConfig) complete() error {
	kind, _ := caller.ParseKind(c.Kind)
	fill := func(into *string, otherwise string) {
		if *into == "" {
			*into = otherwise
		}
	}
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(c.Issuer != "" && c.Issuer != Issuer, "issuer must be set, and is not %q", Issuer)
	check(c.Audience != "", "audience must be set: this suite's client id at the issuer")
	check((c.JWKSURL == "") != (c.JWKSFile == ""), "one of jwks_url and jwks_file must be set")
	if c.JWKSURL != "" {
		check(checkKeysURL(c.JWKSURL) == nil, "jwks_url: %v", checkKeysURL(c.JWKSURL))
	}
	switch kind {
	case caller.Admin:
		fill(&c.SubjectClaim, "sub")
		fill(&c.RolesClaim, "roles")
		check(len(c.RoleMap) > 0, `role_map must be set, such as {"payment-operators": ["VIEW", "CASH"]}`)
		for group, roles := range c.RoleMap {
			_, err := caller.ParseRoles(roles)
			check(err == nil && len(roles) > 0, "role_map: %q: name one or more of %s", group, strings.Join(caller.EveryRole().Names(), ", "))
		}
		check(c.UserClaim == "" && c.Owner == "" && len(c.FactorMethods) == 0, "user_claim, owner and factor_methods belong to H5")
	case caller.H5:
		fill(&c.UserClaim, "sub")
		if len(c.FactorMethods) == 0 {
			c.FactorMethods = secondFactors()
		}
		check(c.SubjectClaim == "" && c.RolesClaim == "" && len(c.RoleMap) == 0, "subject_claim, roles_claim and role_map belong to ADMIN")
		check(c.Owner == "" || identifier(c.Owner), "owner %q is not 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", c.Owner, nameLength)
	default:
		check(false, "kind %q is neither ADMIN nor H5", c.Kind)
	}
	return errors.Join(wrong...)
}

// Outside is the outside issuers whose tokens are accepted. It is safe for concurrent use.
type Outside struct {
	byName map[string][]*outsideIssuer
}

// LoadOutside reads the issuers from a file: a JSON array of IssuerConfig. No network is touched before Run and the first token;
// report, which may be nil, is called with what goes wrong later. It fails with ErrKeyFile, naming every mistake.
func LoadOutside(path string, report func(error)) (*Outside, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load outside issuers: %w", err)
	}
	if stat.Size() > maxIssuersFile {
		return nil, fmt.Errorf("load outside issuers: %w: above %d bytes", ErrKeyFile, maxIssuersFile)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load outside issuers: %w", err)
	}
	var configs []IssuerConfig
	if err := decodeStrictly(raw, &configs); err != nil {
		return nil, fmt.Errorf("load outside issuers: %w", err)
	}
	o, err := NewOutside(configs, report)
	if err != nil {
		return nil, fmt.Errorf("load outside issuers: %w: %w", ErrKeyFile, err)
	}
	return o, nil
}

// NewOutside is the issuers of those configs; see LoadOutside.
func NewOutside(configs []IssuerConfig, report func(error)) (*Outside, error) {
	if len(configs) == 0 || len(configs) > MaxIssuers {
		return nil, fmt.Errorf("%d issuers, want 1 to %d", len(configs), MaxIssuers)
	}
	if report == nil {
		report = func(error) {}
	}
	o := &Outside{byName: map[string][]*outsideIssuer{}}
	for n, c := range configs {
		if err := c.complete(); err != nil {
			return nil, fmt.Errorf("issuer %d (%s): %w", n+1, c.Issuer, err)
		}
		for _, other := range o.byName[c.Issuer] {
			if other.config.Audience == c.Audience {
				return nil, fmt.Errorf("issuer %d (%s): the audience %s is there twice", n+1, c.Issuer, c.Audience)
			}
		}
		issuer, err := newOutsideIssuer(c, report)
		if err != nil {
			return nil, fmt.Errorf("issuer %d (%s): %w", n+1, c.Issuer, err)
		}
		o.byName[c.Issuer] = append(o.byName[c.Issuer], issuer)
	}
	return o, nil
}

// issuerOf finds the issuer whose token it claims to be; nil when it claims to be of none of them. It fails with errs.TokenInvalid for
// a token of an issuer that is not for this suite.
func (o *Outside) issuerOf(token string) (*outsideIssuer, error) {
	var body jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &body); err != nil {
		return nil, nil //nolint:nilerr // The suite's own way says what is wrong with it.
	}
	issuers, ok := o.byName[body.Issuer]
	if !ok {
		return nil, nil
	}
	var found *outsideIssuer
	for _, i := range issuers {
		if !slices.Contains(body.Audience, i.config.Audience) {
			continue
		}
		if found != nil {
			return nil, errs.TokenInvalid.New("the token is for two audiences of this suite; ask for one with a single audience")
		}
		found = i
	}
	if found == nil {
		return nil, errs.TokenInvalid.New("the token is not for this suite: its aud lacks what is configured for its issuer")
	}
	return found, nil
}

// outsideClaims is the body of a token from outside: what is registered, and everything.
type outsideClaims struct {
	jwt.RegisteredClaims
	all map[string]any
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *outsideClaims) UnmarshalJSON(raw []byte) error {
	return errors.Join(json.Unmarshal(raw, &c.RegisteredClaims), json.Unmarshal(raw, &c.all))
}

// errNoKey is why a token whose key is unknown is not verified.
var errNoKey = errors.New("unknown key")

// verifyOutside checks a token of an outside issuer that is not remembered.
func (v *Verifier) verifyOutside(token string, issuer *outsideIssuer, now time.Time) (verdict, error) {
	var body outsideClaims
	found := verdict{issuer: issuer}
	parser := jwt.NewParser(jwt.WithValidMethods(issuerAlgorithms()), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(token, &body, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("critical header parameters")
		}
		id, _ := t.Header["kid"].(string)
		key, state, ok := issuer.key(id, now)
		if found.issuerKeys = state; !ok {
			return nil, errNoKey
		}
		if key.algorithm != t.Method.Alg() {
			return nil, fmt.Errorf("a key of %s", key.algorithm)
		}
		return key.public, nil
	})
	if err != nil && found.issuerKeys == nil && errors.Is(err, errNoKey) {
		return verdict{}, errs.DependencyUnavailable.New("the keys of the token's issuer were not read yet")
	}
	if err != nil {
		return verdict{}, errs.TokenInvalid.Wrap(err, "the token is malformed or not signed by a key of its issuer with one of %s",
			strings.Join(issuerAlgorithms(), ", "))
	}
	if found.caller, err = issuer.callerOf(&body, v.config.Home); err != nil {
		return verdict{}, errs.TokenInvalid.New("the token is not usable: %v", err)
	}
	if found.notBefore, found.expires, err = v.lifetime(body.RegisteredClaims, now); err != nil {
		return verdict{}, err
	}
	found.revoked = v.config.Revoked.state(now)
	return found, refuseRevoked(found.revoked, "", body.RegisteredClaims, found.caller)
}

// callerOf reads the caller out of a token's body.
func (i *outsideIssuer) callerOf(body *outsideClaims, home string) (caller.Caller, error) {
	if _, ok := body.all["events"]; ok {
		return caller.Caller{}, errors.New("it is a security event, not a sign-in")
	}
	if i.kind == caller.Admin {
		return i.operator(body)
	}
	return i.payer(body, home)
}

func (i *outsideIssuer) operator(body *outsideClaims) (caller.Caller, error) {
	name, err := textClaim(body.all, i.config.SubjectClaim)
	if err != nil {
		return caller.Caller{}, err
	}
	var roles caller.Roles
	for _, group := range wordsClaim(body.all, i.config.RolesClaim) {
		mapped, err := caller.ParseRoles(i.config.RoleMap[group])
		if err != nil {
			return caller.Caller{}, err
		}
		roles |= mapped
	}
	if roles == 0 {
		return caller.Caller{}, fmt.Errorf("its claim %s names none of %s, to which roles are mapped", i.config.RolesClaim,
			strings.Join(slices.Sorted(maps.Keys(i.config.RoleMap)), ", "))
	}
	c := caller.Caller{Kind: caller.Admin, Name: name, Roles: roles}
	return c, checkCaller(c)
}

func (i *outsideIssuer) payer(body *outsideClaims, home string) (caller.Caller, error) {
	user, err := textClaim(body.all, i.config.UserClaim)
	if err != nil {
		return caller.Caller{}, err
	}
	// A tilde would name another marketplace than the issuer's.
	if !identifier(user) {
		return caller.Caller{}, fmt.Errorf("its claim %s is not 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", i.config.UserClaim, nameLength)
	}
	c := caller.Caller{Kind: caller.H5, Name: outsideName, UserID: user}
	if i.config.Owner != "" && i.config.Owner != home {
		c.Owner, c.UserID = i.config.Owner, caller.QualifiedUserID(i.config.Owner, user)
	}
	at, _ := body.all["auth_time"].(float64)
	if at >= 1 && at < 1<<40 && anyFactor(arrayClaim(body.all, "amr"), i.config.FactorMethods) {
		if body.IssuedAt != nil && time.Unix(int64(at), 0).After(body.IssuedAt.Add(Leeway)) {
			return c, errors.New("auth_time is later than iat")
		}
		c.FactorTime = int64(at)
	}
	return c, checkCaller(c)
}

// claim finds a claim by its name, or by a way of names with dots between them.
func claim(all map[string]any, name string) any {
	if value, ok := all[name]; ok {
		return value
	}
	first, rest, found := strings.Cut(name, ".")
	if inner, ok := all[first].(map[string]any); found && ok {
		return claim(inner, rest)
	}
	return nil
}

func textClaim(all map[string]any, name string) (string, error) {
	text, ok := claim(all, name).(string)
	if !ok || text == "" {
		return "", fmt.Errorf("its claim %s is missing or no text", name)
	}
	return text, nil
}

// arrayClaim is the texts of a claim that is an array.
func arrayClaim(all map[string]any, name string) []string {
	values, _ := claim(all, name).([]any)
	var out []string
	for _, v := range values {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// wordsClaim is the texts of a claim that is an array, or words with spaces between them.
func wordsClaim(all map[string]any, name string) []string {
	if text, ok := claim(all, name).(string); ok {
		return strings.Fields(text)
	}
	return arrayClaim(all, name)
}
