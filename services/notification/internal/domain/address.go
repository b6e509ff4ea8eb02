package domain

import (
	"net/netip"
	"net/url"
	"slices"

	"github.com/creditpay/creditpay/pkg/errs"
)

// Reach says what may be posted to. The zero Reach is the public network by https.
type Reach struct {
	// Loopback also allows this machine, and plain http to it: for development.
	Loopback bool
}

// closedNetworks are those beside the ones that netip knows by name: no endpoint of a receiver is there, but something of ours or of
// the provider may be. The list follows the special-purpose registries of RFC 6890 and its successors.
func closedNetworks() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4",
		// These carry IPv4 addresses inside, so that they would lead past the list above: IPv4-compatible, NAT64, Teredo, 6to4.
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16",
		"100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// Allows tells whether an address may be posted to. It is asked about the address that is connected to, after names were resolved: a
// name that leads elsewhere a moment later gains nothing.
func (r Reach) Allows(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	if a.IsLoopback() {
		return r.Loopback
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	return !slices.ContainsFunc(closedNetworks(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// CheckURL refuses an address that could never be posted to. What its name leads to is checked when it is connected to.
func (r Reach) CheckURL(text string) error {
	refused := func(why string) error {
		return errs.EndpointURLRefused.New("the address %s", why).With("field", "url")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return refused("is not absolute, such as https://shop.example/hooks")
	}
	addr, literal := netip.ParseAddr(u.Hostname())
	local := r.Loopback && (u.Hostname() == "localhost" || (literal == nil && addr.Unmap().IsLoopback()))
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !local):
		return refused("must begin with https://")
	case u.User != nil:
		return refused("must not hold a user or a password")
	case u.Fragment != "":
		return refused("must not have a fragment")
	case literal == nil && !r.Allows(addr):
		return refused("does not lead to the public network")
	default:
		return nil
	}
}
