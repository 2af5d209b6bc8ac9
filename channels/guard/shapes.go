package guard

import (
	"slices"

	"github.com/suanpan/suanpan/core/channel"
)

// What a value can do is part of its type, which Go fixes at compile time. So that a
// type assertion on a guarded adapter finds exactly what it finds on the adapter
// inside, there is one type for each set of optional abilities: shape, in
// shapes_gen.go, picks it. Each embeds *guarded and the abilities that it shows.
//
//go:generate go run ./gen shapes_gen.go

// ability is a set of optional abilities.
type ability int

// The abilities, in the order of the generator's list.
const (
	barcode ability = 1 << iota
	payerID
	transfer
	fundBill
	abnormal
)

// abilitiesOf is the set of what inner can do beyond channel.Adapter.
func abilitiesOf(inner channel.Adapter) ability {
	var set ability
	has := channel.Abilities(inner)
	for name, one := range map[channel.Ability]ability{
		channel.AbilityBarcode:        barcode,
		channel.AbilityPayerID:        payerID,
		channel.AbilityTransfer:       transfer,
		channel.AbilityFundBill:       fundBill,
		channel.AbilityAbnormalRefund: abnormal,
	} {
		if slices.Contains(has, name) {
			set |= one
		}
	}
	return set
}
