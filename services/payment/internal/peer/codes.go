package peer

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/services/payment/internal/app"
)

// SendPinCode sends a one-time code for a PIN.
func (b *Bill) SendPinCode(ctx context.Context, userID, requestID string) (app.SentCode, error) {
	res, err := b.client.SendUserCode(ctx, &billv1.SendUserCodeRequest{RequestId: requestID, UserId: userID,
		Purpose: billv1.CodePurpose_CODE_PURPOSE_PAYMENT_PIN})
	if err != nil {
		return app.SentCode{}, err
	}
	sent := app.SentCode{ChallengeID: res.GetChallengeId(), MaskedTarget: res.GetMaskedTarget(), ExpireTime: res.GetExpireTime().AsTime()}
	if res.GetResendTime() != nil {
		sent.ResendTime = res.GetResendTime().AsTime()
	}
	return sent, nil
}

// CheckPinCode uses up a one-time code for a PIN.
func (b *Bill) CheckPinCode(ctx context.Context, userID, challengeID, code, useID string) error {
	_, err := b.client.CheckUserCode(ctx, &billv1.CheckUserCodeRequest{UserId: userID, Purpose: billv1.CodePurpose_CODE_PURPOSE_PAYMENT_PIN,
		ChallengeId: challengeID, Code: code, UseId: useID})
	return err
}
