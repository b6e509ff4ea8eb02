package errs

// The reasons, as documented in creditpay/common/v1/error.proto. A test holds this list against that enum.
var (
	// InvalidArgument: A field is missing, malformed or out of bounds; the details name the field. Mend the request.
	InvalidArgument = Reason{"INVALID_ARGUMENT", KindInvalidArgument}
	// TokenMissing: No bearer token was sent. Send "authorization: Bearer <token>".
	TokenMissing = Reason{"TOKEN_MISSING", KindUnauthenticated}
	// TokenInvalid: The token is malformed, signed by an unknown key, or not for this suite. Ask for a new one.
	TokenInvalid = Reason{"TOKEN_INVALID", KindUnauthenticated}
	// TokenExpired: The token's lifetime is over. Ask for a new one.
	TokenExpired = Reason{"TOKEN_EXPIRED", KindUnauthenticated}
	// CallerNotAllowed: This kind of caller may not call this method.
	CallerNotAllowed = Reason{"CALLER_NOT_ALLOWED", KindPermissionDenied}
	// NotFound: No such object, or it belongs to somebody else. The two look the same on purpose.
	NotFound = Reason{"NOT_FOUND", KindNotFound}
	// RateLimited: Too many calls by this caller. Retry after the delay in the answer.
	RateLimited = Reason{"RATE_LIMITED", KindResourceExhausted}
	// RequestIDReused: The same request_id came before with other content. Use a new request_id for a new request.
	RequestIDReused = Reason{"REQUEST_ID_REUSED", KindInvalidArgument}
	// RequestInFlight: The first call with this request_id is still being worked on. Repeat the same call a little later.
	RequestInFlight = Reason{"REQUEST_IN_FLIGHT", KindAborted}
	// ConcurrentChange: Somebody else changed the object at the same time. Read it again, then repeat.
	ConcurrentChange = Reason{"CONCURRENT_CHANGE", KindAborted}
	// DependencyUnavailable: A part that this call needs cannot be reached. Repeat with the same request_id.
	DependencyUnavailable = Reason{"DEPENDENCY_UNAVAILABLE", KindUnavailable}
	// DeadlineTooShort: Too little time is left to do this safely. Repeat with a longer deadline.
	DeadlineTooShort = Reason{"DEADLINE_TOO_SHORT", KindDeadlineExceeded}
	// Internal: A fault on our side; nothing was changed. The log has the request's id.
	Internal = Reason{"INTERNAL", KindInternal}
	// NotYetAvailable: The contract of this call stands, its service does not offer it yet.
	NotYetAvailable = Reason{"NOT_YET_AVAILABLE", KindUnimplemented}
	// CurrencyMismatch: The request mixes currencies. Use one currency per checkout.
	CurrencyMismatch = Reason{"CURRENCY_MISMATCH", KindInvalidArgument}
	// AmountOutOfRange: A sum of amounts leaves the range of 10^15 minor units.
	AmountOutOfRange = Reason{"AMOUNT_OUT_OF_RANGE", KindInvalidArgument}
	// PageTokenInvalid: The page token is not one that this list gave out, or the filters changed. Start from the first page.
	PageTokenInvalid = Reason{"PAGE_TOKEN_INVALID", KindInvalidArgument}
	// OrderContentMismatch: This (merchant_id, out_order_no) exists with other content.
	OrderContentMismatch = Reason{"ORDER_CONTENT_MISMATCH", KindAlreadyExists}
	// OrderStateInvalid: The order is not in a state that allows this; the metadata names the state.
	OrderStateInvalid = Reason{"ORDER_STATE_INVALID", KindFailedPrecondition}
	// OrderAlreadyConfirmed: The goods are confirmed already: a cancel is too late, ask for a refund.
	OrderAlreadyConfirmed = Reason{"ORDER_ALREADY_CONFIRMED", KindFailedPrecondition}
	// CheckoutExpired: The checkout's time is over.
	CheckoutExpired = Reason{"CHECKOUT_EXPIRED", KindFailedPrecondition}
	// CheckoutCancelled: The checkout was cancelled.
	CheckoutCancelled = Reason{"CHECKOUT_CANCELLED", KindFailedPrecondition}
	// CheckoutAlreadyPaid: The checkout is paid.
	CheckoutAlreadyPaid = Reason{"CHECKOUT_ALREADY_PAID", KindFailedPrecondition}
	// CheckoutCommitting: A commit of this checkout is under way. Ask QueryPaymentStatus for its outcome.
	CheckoutCommitting = Reason{"CHECKOUT_COMMITTING", KindAborted}
	// CheckoutChanged: An order of the checkout changed since the quote was made. Choose the plan again.
	CheckoutChanged = Reason{"CHECKOUT_CHANGED", KindFailedPrecondition}
	// ExpireTimeInvalid: The expire time lies in the past or too far ahead.
	ExpireTimeInvalid = Reason{"EXPIRE_TIME_INVALID", KindInvalidArgument}
	// OrderNotPaid: The order is not paid, so it cannot be confirmed.
	OrderNotPaid = Reason{"ORDER_NOT_PAID", KindFailedPrecondition}
	// QuoteNotFound: No quote was locked for this checkout. Call ConfirmPayChannel.
	QuoteNotFound = Reason{"QUOTE_NOT_FOUND", KindFailedPrecondition}
	// QuoteExpired: The quote's time is over. Call ConfirmPayChannel again.
	QuoteExpired = Reason{"QUOTE_EXPIRED", KindFailedPrecondition}
	// QuoteReplaced: A newer quote replaced this one.
	QuoteReplaced = Reason{"QUOTE_REPLACED", KindFailedPrecondition}
	// ChannelNotAvailable: The channel is unknown or not offered for this checkout.
	ChannelNotAvailable = Reason{"CHANNEL_NOT_AVAILABLE", KindInvalidArgument}
	// TenorNotOffered: This tenor is not offered for this amount.
	TenorNotOffered = Reason{"TENOR_NOT_OFFERED", KindInvalidArgument}
	// PinNotSet: The user has no PIN yet. Call SetPaymentPin.
	PinNotSet = Reason{"PIN_NOT_SET", KindFailedPrecondition}
	// PinWrong: The PIN is wrong; the metadata says how many tries are left.
	PinWrong = Reason{"PIN_WRONG", KindPermissionDenied}
	// PinLocked: Too many wrong PINs; the metadata says until when the PIN is locked.
	PinLocked = Reason{"PIN_LOCKED", KindPermissionDenied}
	// PinTooWeak: The PIN is too easy to guess (repeated or consecutive digits).
	PinTooWeak = Reason{"PIN_TOO_WEAK", KindInvalidArgument}
	// LegAmountMismatch: The notified amount or currency differs from the leg's. Kept for an operator.
	LegAmountMismatch = Reason{"LEG_AMOUNT_MISMATCH", KindFailedPrecondition}
	// CommitAborted: The commit was withdrawn before it succeeded.
	CommitAborted = Reason{"COMMIT_ABORTED", KindFailedPrecondition}
	// PlanChanged: The plan that the payer agreed to is not what is offered now. Show the plans again.
	PlanChanged = Reason{"PLAN_CHANGED", KindFailedPrecondition}
	// DownPaymentRequired: The plan asks for a down payment. Name a channel for it.
	DownPaymentRequired = Reason{"DOWN_PAYMENT_REQUIRED", KindFailedPrecondition}
	// PinProofRequired: The first PIN, or a new one for a forgotten one, needs a proof: a one-time code of SendPinCode.
	PinProofRequired = Reason{"PIN_PROOF_REQUIRED", KindFailedPrecondition}
	// AccountNotFound: The user has no credit account.
	AccountNotFound = Reason{"ACCOUNT_NOT_FOUND", KindFailedPrecondition}
	// AccountFrozen: The credit account is frozen.
	AccountFrozen = Reason{"ACCOUNT_FROZEN", KindFailedPrecondition}
	// AccountOverdue: The credit account has overdue bills.
	AccountOverdue = Reason{"ACCOUNT_OVERDUE", KindFailedPrecondition}
	// LimitInsufficient: The available limit is smaller than the amount.
	LimitInsufficient = Reason{"LIMIT_INSUFFICIENT", KindFailedPrecondition}
	// AccountExists: The user has a credit account with other content.
	AccountExists = Reason{"ACCOUNT_EXISTS", KindAlreadyExists}
	// LimitBelowUse: The new limit is below what is used and held.
	LimitBelowUse = Reason{"LIMIT_BELOW_USE", KindFailedPrecondition}
	// ProductNotEligible: No product offers credit for this business, currency and amount.
	ProductNotEligible = Reason{"PRODUCT_NOT_ELIGIBLE", KindFailedPrecondition}
	// EsignRequired: The contract must be signed first.
	EsignRequired = Reason{"ESIGN_REQUIRED", KindFailedPrecondition}
	// ReservationReleased: The reservation was released before; it cannot be made again under the same id.
	ReservationReleased = Reason{"RESERVATION_RELEASED", KindFailedPrecondition}
	// LoanStateInvalid: The loan is not in a state that allows this.
	LoanStateInvalid = Reason{"LOAN_STATE_INVALID", KindFailedPrecondition}
	// NothingToPay: Nothing is owed of what was named.
	NothingToPay = Reason{"NOTHING_TO_PAY", KindFailedPrecondition}
	// RepaymentStateInvalid: The repayment is not in a state that allows this.
	RepaymentStateInvalid = Reason{"REPAYMENT_STATE_INVALID", KindFailedPrecondition}
	// BalanceInsufficient: The credit balance is smaller than the amount.
	BalanceInsufficient = Reason{"BALANCE_INSUFFICIENT", KindFailedPrecondition}
	// EsignCodeWrong: The code is wrong; the metadata says how many tries are left.
	EsignCodeWrong = Reason{"ESIGN_CODE_WRONG", KindPermissionDenied}
	// EsignCodeExpired: The code's time is over. Ask for another one: SendEsignCheck, or SendPinCode for a PIN.
	EsignCodeExpired = Reason{"ESIGN_CODE_EXPIRED", KindFailedPrecondition}
	// EsignCodeUsed: The code was used, or a newer one replaced it. Ask for another one: SendEsignCheck, or SendPinCode for a PIN.
	EsignCodeUsed = Reason{"ESIGN_CODE_USED", KindFailedPrecondition}
	// EsignLocked: Too many wrong codes, or too many codes sent; the metadata says when to try again.
	EsignLocked = Reason{"ESIGN_LOCKED", KindPermissionDenied}
	// EsignResendTooSoon: A code was sent a moment ago; the metadata says when another can be sent.
	EsignResendTooSoon = Reason{"ESIGN_RESEND_TOO_SOON", KindFailedPrecondition}
	// TooManyOpenRepayments: The user has as many unpaid repayments as one may have. Pay one, or wait until one runs out.
	TooManyOpenRepayments = Reason{"TOO_MANY_OPEN_REPAYMENTS", KindFailedPrecondition}
	// AccountStateInvalid: The credit account is not in a state that allows this; the metadata names the state.
	AccountStateInvalid = Reason{"ACCOUNT_STATE_INVALID", KindFailedPrecondition}
	// RefundExceedsBudget: The refund is larger than what is left to refund.
	RefundExceedsBudget = Reason{"REFUND_EXCEEDS_BUDGET", KindFailedPrecondition}
	// ApproverIsRequester: The person who asked for a refund cannot approve it.
	ApproverIsRequester = Reason{"APPROVER_IS_REQUESTER", KindPermissionDenied}
	// RefundStateInvalid: The refund is not in a state that allows this.
	RefundStateInvalid = Reason{"REFUND_STATE_INVALID", KindFailedPrecondition}
	// AlreadyApproved: this person has approved the refund already.
	AlreadyApproved = Reason{"ALREADY_APPROVED", KindFailedPrecondition}
	// RefundChanged: the refund would now do something else than what was to be approved.
	RefundChanged = Reason{"REFUND_CHANGED", KindFailedPrecondition}
	// ApprovalStateInvalid: The request is not in a state in which it may be approved or rejected; the metadata names the state.
	ApprovalStateInvalid = Reason{"APPROVAL_STATE_INVALID", KindFailedPrecondition}
	// ApprovalChanged: What was approved is not what would be done now; nothing was done. Ask again.
	ApprovalChanged = Reason{"APPROVAL_CHANGED", KindFailedPrecondition}
	// ApprovalPending: Another request about the same object waits to be approved; the metadata names it.
	ApprovalPending = Reason{"APPROVAL_PENDING", KindFailedPrecondition}
	// DevelopmentOnly: The call belongs to the development stack only.
	DevelopmentOnly = Reason{"DEVELOPMENT_ONLY", KindFailedPrecondition}
	// EndpointURLRefused: The endpoint's address is not one that is posted to: it must be https and lead to the public network.
	EndpointURLRefused = Reason{"ENDPOINT_URL_REFUSED", KindInvalidArgument}
	// EndpointDisabled: The endpoint is disabled. Enable it first.
	EndpointDisabled = Reason{"ENDPOINT_DISABLED", KindFailedPrecondition}
)

// All gives every reason, in the enum's order.
func All() []Reason {
	return []Reason{
		InvalidArgument,
		TokenMissing,
		TokenInvalid,
		TokenExpired,
		CallerNotAllowed,
		NotFound,
		RateLimited,
		RequestIDReused,
		RequestInFlight,
		ConcurrentChange,
		DependencyUnavailable,
		DeadlineTooShort,
		Internal,
		NotYetAvailable,
		CurrencyMismatch,
		AmountOutOfRange,
		PageTokenInvalid,
		OrderContentMismatch,
		OrderStateInvalid,
		OrderAlreadyConfirmed,
		CheckoutExpired,
		CheckoutCancelled,
		CheckoutAlreadyPaid,
		CheckoutCommitting,
		CheckoutChanged,
		ExpireTimeInvalid,
		OrderNotPaid,
		QuoteNotFound,
		QuoteExpired,
		QuoteReplaced,
		ChannelNotAvailable,
		TenorNotOffered,
		PinNotSet,
		PinWrong,
		PinLocked,
		PinTooWeak,
		LegAmountMismatch,
		CommitAborted,
		PlanChanged,
		DownPaymentRequired, PinProofRequired,
		AccountNotFound,
		AccountFrozen,
		AccountOverdue,
		LimitInsufficient,
		AccountExists,
		LimitBelowUse,
		ProductNotEligible,
		EsignRequired,
		ReservationReleased,
		LoanStateInvalid,
		NothingToPay,
		RepaymentStateInvalid,
		BalanceInsufficient,
		EsignCodeWrong,
		EsignCodeExpired,
		EsignCodeUsed,
		EsignLocked,
		EsignResendTooSoon, TooManyOpenRepayments,
		AccountStateInvalid,
		RefundExceedsBudget,
		ApproverIsRequester,
		RefundStateInvalid, AlreadyApproved, RefundChanged, ApprovalStateInvalid, ApprovalChanged, ApprovalPending,
		DevelopmentOnly,
		EndpointURLRefused,
		EndpointDisabled,
	}
}

// ByName finds a reason by its name on the wire; false when there is none.
func ByName(name string) (Reason, bool) {
	for _, r := range All() {
		if r.name == name {
			return r, true
		}
	}
	return Reason{}, false
}
