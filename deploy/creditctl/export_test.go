package creditctl

// Loopback is loopback for the tests.
var Loopback = loopback
