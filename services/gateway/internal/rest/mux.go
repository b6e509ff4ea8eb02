package rest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// strictJSON is protobuf's JSON: enums by name, 64-bit integers as strings, defaults written out, and nothing unknown, nothing
// twice, no null and nothing after the object taken in.
type strictJSON struct{ runtime.JSONPb }

func newStrictJSON() *strictJSON {
	return &strictJSON{runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true}}}
}

// NewDecoder reads one whole message.
func (s *strictJSON) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		raw, err := io.ReadAll(r) // package edge has bounded it
		if err != nil {
			return err
		}
		if len(raw) == 0 {
			return io.EOF // no body: an empty message
		}
		message, ok := v.(proto.Message)
		if !ok {
			return errors.New("this address takes no JSON body")
		}
		if err := withoutNull(raw, message.ProtoReflect().Descriptor()); err != nil {
			return err
		}
		if err := (protojson.UnmarshalOptions{}).Unmarshal(raw, message); err != nil {
			return bodyError(message.ProtoReflect().Descriptor(), err)
		}
		return sameObject(r, message.ProtoReflect())
	})
}

// setParser has the library read query parameters by our rules. The library keeps its parser in a variable of its package, whichever
// router it was set for: it is set once, since a router may be made while another one answers.
var setParser = sync.OnceFunc(func() { runtime.NewServeMux(runtime.SetQueryParameterParser(&query{})) })

// NewMux is a router without routes that answers in the suite's form.
func NewMux() *runtime.ServeMux {
	setParser()
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newStrictJSON()),
		runtime.WithMiddlewares(routesOf(protoregistry.GlobalFiles).guard),
		runtime.WithErrorHandler(writeRPCError),
		runtime.WithRoutingErrorHandler(writeRoutingError),
		runtime.WithIncomingHeaderMatcher(passOn),
		runtime.WithOutgoingHeaderMatcher(keepInside),
		runtime.WithOutgoingTrailerMatcher(keepInside),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
	)
}

// passOn names the headers that the services get; "authorization" is passed on by the library itself.
func passOn(header string) (string, bool) {
	switch name := strings.ToLower(header); name {
	case "x-request-id", "traceparent", "tracestate":
		return name, true
	default:
		return "", false
	}
}

// keepInside lets no gRPC metadata out: nobody promised it to REST callers.
func keepInside(string) (string, bool) { return "", false }

// Path reports the first segment of the path: "h5", "merchant", "admin", or "other" for everything else. It is a metric's label.
func Path(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.URL.Path, "/h5/"):
		return "h5"
	case strings.HasPrefix(r.URL.Path, "/merchant/"):
		return "merchant"
	case strings.HasPrefix(r.URL.Path, "/admin/"):
		return "admin"
	default:
		return "other"
	}
}
