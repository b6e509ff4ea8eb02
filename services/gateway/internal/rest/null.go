package rest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// withoutNull refuses a body in which a value is null. Protobuf's JSON reads null as "not sent", so that a number which a caller failed
// to fill in would be a decision. What is no JSON, or nested deeper than any message, is left to the decoder.
func withoutNull(raw []byte, message protoreflect.MessageDescriptor) error {
	if !bytes.Contains(raw, []byte("null")) {
		return nil
	}
	path, _ := nullIn(json.NewDecoder(bytes.NewReader(raw)), message, "", depthMax)
	if path == "" {
		return nil // the four letters stand in a text, or nowhere that counts
	}
	return wrongParameter{Field: path, Rule: ruleNull, Text: "is null; send a value, or leave the field out where the contract says what that means"}
}

// depthMax is more than any message of the contract is deep.
const depthMax = 64

// nullIn is the path of the first null in the next value of in, in the names of the contract; ended reports that there is no use in
// reading on. An empty path is none: a body that is null as a whole is left to the decoder.
func nullIn(in *json.Decoder, message protoreflect.MessageDescriptor, path string, depth int) (null string, ended bool) {
	token, err := in.Token()
	if err != nil || depth == 0 {
		return "", true
	}
	switch token {
	case nil:
		return path, true
	case json.Delim('['):
		for i := 0; in.More(); i++ {
			if at, ended := nullIn(in, message, fmt.Sprintf("%s[%d]", path, i), depth-1); ended {
				return at, true
			}
		}
		_, _ = in.Token() // the end of the list
	case json.Delim('{'):
		for in.More() {
			key, _ := in.Token()
			name, inner := fmt.Sprint(key), protoreflect.MessageDescriptor(nil)
			if message != nil {
				if field, err := fieldOf(message, name); err == nil {
					name, inner = field.TextName(), field.Message()
				}
			}
			if path != "" {
				name = path + "." + name
			}
			if at, ended := nullIn(in, inner, name, depth-1); ended {
				return at, true
			}
		}
		_, _ = in.Token() // the end of the object
	}
	return "", false
}
