package walks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
)

// how says why an amount that one service names to another moves no money by itself.
type how string

const (
	readsOnly how = "changes nothing"
	// asksOwner: the service that is called asks the one that owns the money for it by its id, and refuses a deviation.
	asksOwner how = "asks the owner by id"
	// ownRecord: the service that is called holds the owner's record itself, and refuses what that record does not bear.
	ownRecord how = "holds the record itself"
	// owedLater: the amount holds limit only; it becomes a debt by an event that the owner signed, which names the amount again.
	owedLater how = "becomes a debt by the owner's own word"
)

// amountsBetweenServices places every RPC between services that carries an amount.
func amountsBetweenServices() map[protoreflect.FullName]how {
	return map[protoreflect.FullName]how{
		"creditpay.bill.v1.BillInternalService.QuotePlans":              readsOnly,
		"creditpay.bill.v1.BillInternalService.PreviewRefundAdjustment": readsOnly,
		// The order's price is the order service's. Asking for it would cost every purchase a call; instead OrderConfirmed, which that
		// service signs, names the price again, and a loan of another one never begins.
		"creditpay.bill.v1.BillInternalService.ReserveCredit": owedLater,
		// The refund is the refund service's: whoever holds its key cannot answer in its place.
		"creditpay.bill.v1.BillInternalService.AdjustForRefund": asksOwner,
		// The return is the payment service's.
		"creditpay.bill.v1.BillInternalService.KeepCashAsCredit": asksOwner,
		// The checkout is this service's own.
		"creditpay.order.v1.OrderInternalService.BeginCommit": ownRecord,
		// The repayment is the bill service's.
		"creditpay.payment.v1.PaymentInternalService.OpenCashLeg": asksOwner,
		// What a refund gives back by a repayment is the bill service's.
		"creditpay.payment.v1.PaymentInternalService.ReturnRepayment": asksOwner,
		// The refund is the refund service's.
		"creditpay.payment.v1.PaymentInternalService.RefundOrderPayment": asksOwner,
	}
}

// internalAmounts are the RPCs that only services may call and whose request holds an amount, however deep.
func internalAmounts(files *protoregistry.Files) []protoreflect.FullName {
	var out []protoreflect.FullName
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), ours) {
			return true
		}
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				rule, _ := proto.GetExtension(m.Options(), commonv1.E_Access).(*commonv1.AccessRule)
				onlyServices := slices.Equal(rule.GetCallers(), []commonv1.CallerKind{commonv1.CallerKind_CALLER_KIND_SERVICE})
				if onlyServices && holdsMoney(m.Input(), map[protoreflect.FullName]bool{}) {
					out = append(out, m.FullName())
				}
			}
		}
		return true
	})
	slices.Sort(out)
	return out
}

func holdsMoney(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[m.FullName()] {
		return false
	}
	seen[m.FullName()] = true
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if strings.HasSuffix(string(f.Name()), "_minor") {
			return true
		}
		if sub := f.Message(); sub != nil && (sub.FullName() == "creditpay.common.v1.Money" || holdsMoney(sub, seen)) {
			return true
		}
	}
	return false
}

// TestAmountsBetweenServices_ArePlaced: an RPC between services that carries an amount says why that amount is not simply believed.
func TestAmountsBetweenServices_ArePlaced(t *testing.T) {
	t.Parallel()
	placed, found := amountsBetweenServices(), internalAmounts(protoregistry.GlobalFiles)
	for _, name := range found {
		if placed[name] == "" {
			t.Errorf("%s carries an amount: have the called service hold it against its owner's record, then place it in amountsBetweenServices", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(placed)) {
		if !slices.Contains(found, name) {
			t.Errorf("%s carries no amount any more, or is no RPC of services", name)
		}
	}
}

// TestAmountsBetweenServices_FindANewRPC adds an RPC to a copy of the contract.
func TestAmountsBetweenServices_FindANewRPC(t *testing.T) {
	t.Parallel()
	files := &descriptorpb.FileDescriptorSet{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		d := protodesc.ToFileDescriptorProto(f)
		if f.Path() == "creditpay/bill/v1/bill_internal_service.proto" {
			known := d.Service[0].Method[slices.IndexFunc(d.Service[0].Method, func(m *descriptorpb.MethodDescriptorProto) bool {
				return m.GetName() == "KeepCashAsCredit"
			})]
			added := proto.CloneOf(known)
			added.Name = proto.String("PayOutCash")
			d.Service[0].Method = append(d.Service[0].Method, added)
		}
		files.File = append(files.File, d)
		return true
	})
	changed, err := protodesc.NewFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	const want = "creditpay.bill.v1.BillInternalService.PayOutCash"
	if got := internalAmounts(changed); !slices.Contains(got, want) || slices.Contains(internalAmounts(protoregistry.GlobalFiles), want) {
		t.Errorf("the walk does not find a new RPC: %v", got)
	}
}
