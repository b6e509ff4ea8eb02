package store

// AuditBooks returns what this service says of money that another one has in its books, too: queries of (order id in hex, state, amount),
// by order.
func AuditBooks() map[string]string {
	return map[string]string{
		"refunded": `SELECT HEX(id), 'REFUNDED', refunded_minor FROM orders WHERE refunded_minor > 0 ORDER BY id`,
	}
}
