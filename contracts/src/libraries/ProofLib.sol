// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Live, Merge, Reveal, Status} from "../Types.sol";
import {Bounty, BountyLib, Seat} from "./BountyLib.sol";
import {ClockLib} from "./ClockLib.sol";
import {ErrorsLib} from "./ErrorsLib.sol";
import {EventsLib} from "./EventsLib.sol";
import {TermsLib} from "./TermsLib.sol";

/// @title ProofLib
/// @notice What a proven fraud changes. See docs/PROTOCOL.md, section 10.
library ProofLib {
    using BountyLib for Bounty;
    using BountyLib for Seat;
    using ClockLib for Live;
    using TermsLib for *;

    /// @notice Void the merge of `round` and all that was built on it, and let the round be merged again.
    /// @return reward the prover's half of the bond
    function voidMerge(Bounty storage bounty, BountyId id, Live memory live, uint16 round, address prover)
        internal
        returns (uint96 reward)
    {
        Merge storage voided = bounty.merges[round];
        (address aggregator, uint16 reveals, uint16 previous) = (voided.aggregator, voided.reveals, voided.previous);
        require(block.timestamp < voided.vestsAt, ErrorsLib.AlreadyVested(voided.vestsAt));
        uint96 bond = bounty.bonds[aggregator].amount;
        reward = bond / 2;
        delete bounty.bonds[aggregator];
        bounty.free += bond - reward;

        emit EventsLib.MergeVoided(id, round, aggregator, prover, live.round, bond, reward);

        _takeBack(bounty, id, round);
        _interrupt(bounty, id, live, round);
        bounty.mergedRound = previous;
        live.reopen(bounty.terms, round, reveals, BountyLib.time());
        hold(
            bounty,
            BountyLib.time() + bounty.terms.mergeSeconds + bounty.terms.openMergeSeconds + bounty.terms.challengeSeconds
        );
    }

    /// @notice Disqualify an update and take the whole stake behind it.
    /// @return reward the prover's half of the stake
    function disqualify(
        Bounty storage bounty,
        BountyId id,
        Live memory live,
        uint16 round,
        bytes32 updateRoot,
        address prover
    ) internal returns (uint96 reward) {
        Reveal storage shown = bounty.reveals[round][updateRoot];
        address account = shown.provider;
        require(account != address(0), ErrorsLib.UnknownUpdate());
        require(!shown.disqualified, ErrorsLib.Disqualified());
        Seat storage seat = bounty.seats[account];
        uint96 stake = seat.standing.stake;
        reward = stake / 2;
        shown.disqualified = true;
        if (stake != 0) {
            if (seat.standing.unlocksAt == 0) live.members -= 1;
            // what can't be opened any more is no part of a quorum
            if (live.commitEndsAt == 0 && seat.isCommitted() && seat.standing.commitRound == live.round) {
                live.commits -= 1;
            }
            seat.standing.stake = 0;
            seat.standing.unlocksAt = 0;
            seat.commitment = BountyLib.OPENED;
            bounty.free += stake - reward;
        }

        emit EventsLib.UpdateDisqualified(id, round, account, updateRoot, prover, stake, reward);
    }

    /// @notice Let nothing built on the merge of `round` vest, and no deposit leave, before `until`.
    function extend(Bounty storage bounty, BountyId id, uint16 round, uint32 until) internal {
        require(block.timestamp < bounty.merges[round].vestsAt, ErrorsLib.AlreadyVested(bounty.merges[round].vestsAt));
        // later merges vest later: the first one that is late enough ends the walk
        for (uint16 later = round; later <= bounty.mergedRound; ++later) {
            Merge storage merged = bounty.merges[later];
            if (merged.payoutRoot == 0) continue;
            if (merged.vestsAt >= until) break;
            merged.vestsAt = until;
        }
        if (bounty.lastVestsAt < until) bounty.lastVestsAt = until;
        hold(bounty, until);

        emit EventsLib.VestingExtended(id, round, until);
    }

    /// @notice Let no stake and no bond leave before `until`.
    function hold(Bounty storage bounty, uint32 until) internal {
        if (bounty.heldUntil < until) bounty.heldUntil = until;
    }

    /// @dev Nothing of an unvested merge has been claimed. But a wrong payout tree that vested unchallenged may have
    /// taken what these merges allocated: then less is there to take back.
    function _takeBack(Bounty storage bounty, BountyId id, uint16 round) private {
        for (uint16 later = round; later <= bounty.mergedRound; ++later) {
            Merge memory merged = bounty.merges[later];
            if (merged.payoutRoot == 0) continue;
            uint96 amount = merged.paid < bounty.owed ? merged.paid : bounty.owed;
            bounty.owed -= amount;
            bounty.free += amount;
            delete bounty.merges[later];
            if (later != round) bounty.divide(id, later, merged.reveals, bounty.terms.share(later));
        }
    }

    /// @dev The running round was built on the voided merge: what was revealed in it is paid, what waits is freed.
    function _interrupt(Bounty storage bounty, BountyId id, Live memory live, uint16 round) private {
        if (live.round == round) return;
        if (live.revealEndsAt == 0 || block.timestamp < live.revealEndsAt) bounty.interrupted[live.round] = true;
        if (live.status == Status.Running && live.reveals != 0) {
            bounty.divide(id, live.round, live.reveals, bounty.terms.share(live.round));
        }
    }
}
