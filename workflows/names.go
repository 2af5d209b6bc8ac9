package workflows

import (
	"go.temporal.io/sdk/temporal"

	"github.com/suanpan/suanpan/core/accept"
)

// Queue is the task queue of the workflows and of the activities that only use
// the database. Every provider has a queue of its own, named as the channel.
const Queue = "suanpan"

// Names that are kept in histories: changing one strands what runs under it.
const (
	// SignalNotified: a verified notification about the object was stored; about
	// which attempt of a payment, its argument says.
	SignalNotified = "Notified"
	// SignalExpired: the payer's time and the grace after it are over.
	SignalExpired = "Expired"
	// SignalChanged: something was asked of the payment: another attempt, or its end.
	SignalChanged = "Changed"
	// UpdateFirstAnswer waits until there is something to tell the payer or the tenant.
	UpdateFirstAnswer = "FirstAnswer"
	// UpdateRedirected waits until the destination that was asked for was sent.
	UpdateRedirected = "Redirected"
	// DailyRoundType is the workflow that the Schedule starts.
	DailyRoundType = "DailyRound"
)

// Search attributes by which operators find workflows. They hold ids only.
var (
	attributeTenant   = temporal.NewSearchAttributeKeyKeyword(AttributeTenant)
	attributeMerchant = temporal.NewSearchAttributeKeyKeyword(AttributeMerchant)
	attributeBusiness = temporal.NewSearchAttributeKeyKeyword(AttributeBusinessID)
	attributeChannel  = temporal.NewSearchAttributeKeyKeyword(AttributeChannel)
)

// The search attributes' names, as `starter migrate` creates them (type Keyword).
const (
	AttributeTenant     = "SuanpanTenant"
	AttributeMerchant   = "SuanpanMerchant"
	AttributeBusinessID = "SuanpanBusinessId"
	AttributeChannel    = "SuanpanChannel"
)

func searchAttributes(s accept.Start) temporal.SearchAttributes {
	set := []temporal.SearchAttributeUpdate{attributeTenant.ValueSet(s.Ref.Tenant)}
	if s.Attributes.Merchant != "" {
		set = append(set, attributeMerchant.ValueSet(s.Attributes.Merchant))
	}
	if s.Attributes.BusinessID != "" {
		set = append(set, attributeBusiness.ValueSet(s.Attributes.BusinessID))
	}
	if s.Attributes.Channel != "" {
		set = append(set, attributeChannel.ValueSet(s.Attributes.Channel))
	}
	return temporal.NewSearchAttributes(set...)
}
