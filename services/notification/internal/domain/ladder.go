package domain

import "time"

// ladder24h4m repeats 15 times over 24 h 4 min (86,640 s). Each pause is counted from the end of the attempt before.
func ladder24h4m() []time.Duration {
	const s, m, h = time.Second, time.Minute, time.Hour
	return []time.Duration{15 * s, 15 * s, 30 * s, 3 * m, 10 * m, 20 * m, 30 * m, 30 * m, 30 * m, 60 * m, 3 * h, 3 * h, 3 * h, 6 * h, 6 * h}
}

// ladderPayProtocol repeats 5 times after the first send: 6 sends in all.
func ladderPayProtocol() []time.Duration {
	const s, m = time.Second, time.Minute
	return []time.Duration{15 * s, 30 * s, 3 * m, 5 * m, 10 * m}
}
