package kafkaacl_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/kafkax"

	"github.com/creditpay/creditpay/deploy/kafkaacl"
)

// TestTable_StandsInTheReadme: the README tells the rights as the services declare them; UPDATE_DOCS=1 rewrites it.
func TestTable_StandsInTheReadme(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../README.md", "<!-- kafka-acls begin -->\n", "<!-- kafka-acls end -->\n"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s lacks the lines %q and %q", path, begin, end)
	}
	want := before + begin + kafkaacl.Table() + end + after
	if want == string(raw) {
		return
	}
	if os.Getenv("UPDATE_DOCS") != "1" {
		t.Fatalf("%s holds another table; run this test with UPDATE_DOCS=1 to write:\n%s", path, kafkaacl.Table())
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestServices_OwnTheirTopics: a service writes only what its name owns, so that a right to write is a right to speak for itself; and
// every topic that is read is written by its owner.
func TestServices_OwnTheirTopics(t *testing.T) {
	t.Parallel()
	written := map[string]bool{}
	for _, s := range kafkaacl.Services() {
		for _, topic := range s.Access.Writes {
			if !strings.HasPrefix(topic, "creditpay."+s.Name+".") {
				t.Errorf("%s writes %s", s.Name, topic)
			}
			written[topic] = true
		}
	}
	for _, s := range kafkaacl.Services() {
		for _, topic := range s.Access.Reads {
			if !written[topic] || eventsig.Owner(topic) == "" || eventsig.Owner(topic) == s.Name {
				t.Errorf("%s reads %s, which nobody owns or it owns itself", s.Name, topic)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := kafkaacl.Commands(&b, "creditpay-"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--allow-principal User:creditpay-bill --operation Write --operation Describe --topic creditpay.bill.events.v1\n",
		"--allow-principal User:creditpay-bill --operation Read --operation Describe --group creditpay.bill\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the commands lack %q:\n%s", want, b.String())
		}
	}
}

// TestRules_AreEnoughAndNotMore runs a broker with these ACLs: each service can write and read what it declares, and nobody can write
// another's topic.
func TestRules_AreEnoughAndNotMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := certificate(t, dir)
	operations := map[string]kmsg.ACLOperation{"Read": kmsg.ACLOperationRead, "Write": kmsg.ACLOperationWrite, "Describe": kmsg.ACLOperationDescribe}
	resources := map[string]kmsg.ACLResourceType{"topic": kmsg.ACLResourceTypeTopic, "group": kmsg.ACLResourceTypeGroup}
	rights := map[string][]kfake.ACL{}
	for _, r := range kafkaacl.Rules() {
		for _, o := range r.Operations {
			rights[r.Service] = append(rights[r.Service], kfake.ACL{Resource: resources[r.Resource], Name: r.Name, Pattern: kmsg.ACLResourcePatternTypeLiteral,
				Operation: operations[o], Allow: true})
		}
	}
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.TLS(server), kfake.EnableSASL(), kfake.EnableACLs()}
	var topics []string
	for _, s := range kafkaacl.Services() {
		opts = append(opts, kfake.User("SCRAM-SHA-256", s.Name, "password of "+s.Name, rights[s.Name]...))
		topics = append(topics, s.Access.Writes...)
	}
	broker, err := kfake.NewCluster(append(opts, kfake.SeedTopics(1, topics...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	clients := map[string]*kafkax.Client{}
	for _, s := range kafkaacl.Services() {
		password := filepath.Join(dir, s.Name)
		if err := os.WriteFile(password, []byte("password of "+s.Name), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := kafkax.New(kafkax.Config{Brokers: broker.ListenAddrs(), Security: kafkax.Security{CAFile: filepath.Join(dir, "ca.pem"),
			Mechanism: kafkax.MechanismScramSHA256, User: s.Name, PasswordFile: password}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		clients[s.Name] = c
		if err := c.EnsureTopics(ctx, slices.Concat(s.Access.Writes, s.Access.Reads)...); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		writes(ctx, t, s, c, topics)
	}
	for _, s := range kafkaacl.Services() {
		r := clients[s.Name].Reader(s.Access.Group, s.Access.Reads)
		m, err := r.FetchMessage(ctx)
		if err = errors.Join(err, r.CommitMessages(ctx, m), r.Close()); err != nil {
			t.Errorf("%s reads: %v", s.Name, err)
		}
	}
}

// writes tries to write every topic: a service's own can be written, and no other.
func writes(ctx context.Context, t *testing.T, s kafkaacl.Service, c *kafkax.Client, topics []string) {
	t.Helper()
	for _, topic := range topics {
		w := c.Producer()
		w.MaxAttempts = 1
		err := w.WriteMessages(ctx, kafka.Message{Topic: topic, Key: []byte("k"), Value: []byte("v")})
		_ = w.Close()
		if own := slices.Contains(s.Access.Writes, topic); (err == nil) != own {
			t.Errorf("%s writes %s: %v, its own: %t", s.Name, topic, err, own)
		}
	}
}

// certificate makes ca.pem and returns the broker's side of TLS.
func certificate(t *testing.T, dir string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}
