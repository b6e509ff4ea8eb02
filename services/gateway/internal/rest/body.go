package rest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/creditpay/creditpay/pkg/rpckit"
)

// Where in a body, and at which field, protobuf's decoder says that it stopped.
var (
	position  = regexp.MustCompile(`\(line (\d{1,7}):(\d{1,7})\)`)
	fieldName = regexp.MustCompile(`field ([A-Za-z0-9_.]{1,64}): `)
)

// bodyError says what is wrong with a JSON body. The decoder's words quote what was sent: they are repeated, bounded, where the
// message holds no secret, and otherwise only the place and a field of the contract are named. A PIN that came as a number, or
// under a wrong name, must not come back.
func bodyError(message protoreflect.MessageDescriptor, err error) error {
	words := readable(err.Error())
	if !rpckit.HasSecrets(message) {
		return errors.New(rpckit.Echo(words))
	}
	said := "the JSON is malformed, has a field that this address does not know, or a value of the wrong kind"
	if at := position.FindStringSubmatch(words); at != nil {
		said += fmt.Sprintf(" (line %s, column %s)", at[1], at[2])
	}
	if named := fieldName.FindStringSubmatch(words); named != nil && knows(message, named[1], map[protoreflect.FullName]bool{}) {
		said = "the field " + named[1] + " has a value of the wrong kind"
	}
	return errors.New(said)
}

// knows reports whether a message, or one inside of it, has a field of that name.
func knows(message protoreflect.MessageDescriptor, name string, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	name = name[strings.LastIndexByte(name, '.')+1:]
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if field.JSONName() == name || string(field.Name()) == name {
			return true
		}
		if field.Message() != nil && knows(field.Message(), name, seen) {
			return true
		}
	}
	return false
}
