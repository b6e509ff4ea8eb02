package text

import (
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// LogEncoder makes every line of a log visible: what others wrote stands in messages and fields, and an operator reads it in a
// terminal. encoder writes JSON, or zap's console form, whose fields are JSON.
func LogEncoder(encoder zapcore.Encoder) zapcore.Encoder { return logEncoder{encoder} }

type logEncoder struct{ zapcore.Encoder }

// Clone implements zapcore.Encoder.
func (e logEncoder) Clone() zapcore.Encoder { return logEncoder{e.Encoder.Clone()} }

// EncodeEntry implements zapcore.Encoder.
func (e logEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	entry.Message = Line(entry.Message)
	line, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return nil, err
	}
	if shown := escapeJSON(line.Bytes()); len(shown) != line.Len() {
		line.Reset()
		_, _ = line.Write(shown) // a buffer takes everything
	}
	return line, nil
}
