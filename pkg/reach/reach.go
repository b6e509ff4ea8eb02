// Package reach owns which addresses that others name we post to, or send a payer to: the public network by https, on a port that
// exists, with nothing in the address that a log or a page would obey.
//
// It must not connect to anything, and must not know what is posted.
package reach

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/creditpay/creditpay/pkg/text"
)

// URLMax bounds an address, in bytes.
const URLMax = 2048

// Reach says what may be posted to. The zero Reach is the public network by https.
type Reach struct {
	// Loopback also allows this machine, and plain http to it: for development.
	Loopback bool
}

// closedNetworks are those beside the ones that netip knows by name: no endpoint of a receiver is there, but something of ours or of
// the provider may be. The list follows the special-purpose registries of RFC 6890 and its successors.
func closedNetworks() []netip.Prefix {
	var out []netip.Prefix
	for _, prefix := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4",
		// These carry IPv4 addresses inside, so that they would lead past the list above: IPv4-compatible, NAT64, Teredo, 6to4.
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16",
		"100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(prefix))
	}
	return out
}

// Allows reports whether an address may be posted to. It is asked about the address that is connected to, after names were resolved:
// a name that leads elsewhere a moment later gains nothing.
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

// RefusesHook returns why an address could never be posted to; empty when it could. What its name leads to is checked when it is
// connected to.
func (r Reach) RefusesHook(address string) (why string) {
	u, why := r.parse(address)
	if why != "" {
		return why
	}
	addr, literal := netip.ParseAddr(u.Hostname())
	switch {
	case u.Fragment != "":
		return "must not have a fragment"
	case literal == nil && !r.Allows(addr):
		return "does not lead to the public network"
	default:
		return ""
	}
}

// RefusesPage returns why a payer's browser must not be sent to an address; empty when it may be.
func (r Reach) RefusesPage(address string) (why string) {
	_, why = r.parse(address)
	return why
}

// parse reads an address and returns what is wrong with its form.
func (r Reach) parse(address string) (*url.URL, string) {
	if len(address) > URLMax {
		return nil, "is longer than " + strconv.Itoa(URLMax) + " bytes"
	}
	if text.Line(address) != address || strings.ContainsAny(address, " \\") {
		return nil, "holds characters that an address cannot have; percent-encode them"
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return nil, "is not absolute, such as https://shop.example/hooks"
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !r.Loopback || !local(u.Hostname())):
		return nil, "must begin with https://"
	case u.User != nil:
		return nil, "must not hold a user or a password"
	case !portExists(u):
		return nil, "must name a port from 1 to 65535, or none"
	default:
		return u, ""
	}
}

// local reports whether a host is this machine by its name or number.
func local(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.Unmap().IsLoopback())
}

// portExists reports whether the port, where one is named, is one.
func portExists(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}
