package devstack

import (
	"time"

	"google.golang.org/grpc"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/spine"
)

// gatewayName is the name of the gateway in its tokens.
const gatewayName = "gateway"

// peer is how one service of the stack calls the others.
type peer struct {
	signer *auth.Signer
	tokens *auth.Source
	conn   *grpc.ClientConn
}

// dialPeers connects every service to self, each with a token of its own name, and the marketplace: who may call what is as it is
// between processes.
func (s *Stack) dialPeers(self string) error {
	s.peers = map[string]*peer{}
	for _, name := range append(servicesWithSchema(), gatewayName) {
		signer, err := s.state.tokens.Service(name)
		if err != nil {
			return err
		}
		tokens, err := auth.NewSource(signer, caller.Caller{Kind: caller.Service, Name: name}, time.Hour, clock.System())
		if err != nil {
			return err
		}
		conn, err := rpckit.Dial(self, rpckit.ClientConfig{TokenSource: tokens, Transport: rpckit.Plaintext})
		if err != nil {
			return err
		}
		s.peers[name] = &peer{signer: signer, tokens: tokens, conn: conn}
	}
	spm, err := s.state.tokens.Signer(theMarketplace())
	if err != nil {
		return err
	}
	tokens, err := auth.NewSource(spm, theMarketplace(), time.Hour, clock.System())
	if err != nil {
		return err
	}
	s.marketplace, err = rpckit.Dial(self, rpckit.ClientConfig{TokenSource: tokens, Transport: rpckit.Plaintext})
	return err
}

// signing returns the deps of the service of that name, which signs its events with its own key.
func (s *Stack) signing(shared spine.Deps, name string) spine.Deps {
	shared.Signer = s.peers[name].signer
	return shared
}

// as returns the connection of the service of that name.
func (s *Stack) as(name string) *grpc.ClientConn { return s.peers[name].conn }
