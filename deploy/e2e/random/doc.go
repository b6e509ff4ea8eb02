// Package random owns the test of random sequences over the real services together: thousands of payers who purchase, pay, repay, cancel,
// are refunded and hear from the cash desk in any order, at the same time, while weeks pass.
//
// Each run is one payer with one or two checkouts and 5 to 20 steps, drawn from a seed of its own. Runs go in waves, all of a wave at the
// same time on a development stack in a process of its own; between the acts of a wave the stack's clock moves. What is checked of each
// answer, and of everything in the end, stands in judge_test.go, the cash desk's table in desk_test.go. In the end of each act the audit over
// all services must find nothing.
//
// The environment says how much and what:
//
//	CREDITPAY_RANDOM_RUNS   how many runs, 1000 by default
//	CREDITPAY_RANDOM_SEED   the seed; the same each time by default, "new" for another one, which is printed
//	CREDITPAY_RANDOM_RUN    this run alone, of that seed
//	CREDITPAY_RANDOM_FROM   the day on which its wave began, YYYY-MM-DD, for a run that is repeated
//
// A run that fails prints its steps and the line that repeats it alone. Steps that met at the same moment may meet otherwise the next time.
//
// It must not reach into a service: what a test wants to know it asks over the wire, as the marketplace, the payer or an operator, or hears
// on Kafka. Only the audit looks at the schemas.
package random
