// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, MergeClaim, Terms} from "../src/Types.sol";
import {BitsLib} from "../src/libraries/BitsLib.sol";
import {Bounty, BountyLib} from "../src/libraries/BountyLib.sol";
import {MergeLib} from "../src/libraries/MergeLib.sol";
import {TermsLib} from "../src/libraries/TermsLib.sol";

/// @notice Proofs about money: what is split is never more than there was, for all amounts.
contract PayoutsSymbolic {
    using BountyLib for Bounty;
    using TermsLib for Terms;

    Bounty private bounty;
    BountyId private constant ID = BountyId.wrap(1);
    /// @dev Solvers divide by known powers of two alone: each is tried up to this one.
    uint16 private constant MOST = 4;

    function check_share__ofAllRounds__addsUpToThePot(uint96 pot, uint16 rounds) external {
        for (uint16 known = 1; known <= MOST; known *= 2) {
            if (rounds == known) assert(_sharesOf(pot, known) == pot);
        }
    }

    function check_divide__ofAnyPool__allocatesNoMoreThanThePool(
        uint96 pool,
        uint16 reveals,
        uint16 quorum,
        uint128 free,
        uint96 owed
    ) external {
        if (pool > free || uint256(owed) + pool > type(uint96).max) return;
        (bounty.free, bounty.owed) = (free, owed);
        for (uint16 known = 1; known <= 2; known *= 2) {
            if (reveals != known) continue;
            bounty.terms.minUpdates = quorum > known ? 2 * known : 1;
            bounty.divide(ID, 1, known, pool);
            uint256 allocated = bounty.owed - owed;
            assert(allocated <= pool);
            assert(allocated == uint256(bounty.lapsed[1]) * known);
            assert(uint256(bounty.free) + bounty.owed == uint256(free) + owed);
        }
    }

    function check_allocate__ofAnyAmount__movesItOrWhatIsLeft(uint96 amount, uint128 free, uint96 owed) external {
        (bounty.free, bounty.owed) = (free, owed);
        bounty.allocate(amount);
        assert(uint256(bounty.free) + bounty.owed == uint256(free) + owed);
        assert(bounty.owed - owed == (amount < free ? amount : uint96(free)));
    }

    /// @custom:halmos --default-bytes-lengths 0,4,8
    function check_validate__ofAnyClaim__keepsPayWithinTheShare(
        uint256 rejected,
        bytes calldata reasons,
        uint96 paid,
        uint96 share,
        uint16 reveals,
        uint16 leaves,
        uint16 members
    ) external view {
        if (reveals > 4) return;
        MergeClaim memory claim;
        (claim.rejected, claim.reasons, claim.paid, claim.payoutLeaves) = (rejected, reasons, paid, leaves);
        this.validate(claim, reveals, share, members);
        uint256 count = BitsLib.countOnes(rejected);
        assert(count <= reveals && reasons.length == 4 * count);
        assert(paid <= share && (count != reveals || paid == 0));
        assert(leaves != 0 && leaves <= members);
    }

    function validate(MergeClaim calldata claim, uint16 reveals, uint96 share, uint16 members) external pure {
        MergeLib.validate(claim, reveals, share, members);
    }

    function _sharesOf(uint96 pot, uint16 rounds) private returns (uint256 total) {
        (bounty.terms.pot, bounty.terms.rounds) = (pot, rounds);
        for (uint16 round = 1; round <= rounds; ++round) {
            total += bounty.terms.share(round);
        }
    }
}
