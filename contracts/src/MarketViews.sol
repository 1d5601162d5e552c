// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Live, Merge, Provider, Reveal, Terms} from "./Types.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {Bounty, BountyLib, Seat} from "./libraries/BountyLib.sol";
import {ClockLib} from "./libraries/ClockLib.sol";
import {RevealLib, RevealWord} from "./libraries/RevealLib.sol";

/// @title MarketViews
/// @notice What the market stores, and how it is read. Nothing here writes.
abstract contract MarketViews is ITrainingMarket {
    using BountyLib for Bounty;
    using BountyLib for Seat;
    using ClockLib for Live;

    /// @inheritdoc ITrainingMarket
    uint256 public bountyCount;

    mapping(BountyId id => Bounty) internal _bounties;

    /// @inheritdoc ITrainingMarket
    function mergeOf(BountyId id, uint16 round) external view returns (Merge memory) {
        return _bounties[id].merges[round];
    }

    /// @inheritdoc ITrainingMarket
    function ownerOf(BountyId id) external view returns (address) {
        return _bounties[id].owner;
    }

    /// @inheritdoc ITrainingMarket
    function terms(BountyId id) external view returns (Terms memory) {
        return _bounties[id].terms;
    }

    /// @inheritdoc ITrainingMarket
    function clock(BountyId id) external view returns (Clock memory present) {
        Bounty storage bounty = _bounties[id];
        present = bounty.present().read(bounty.terms, block.timestamp);
        present.memberCount = bounty.memberCount;
    }

    /// @inheritdoc ITrainingMarket
    function money(BountyId id) external view returns (uint96 owed, uint128 free) {
        return (_bounties[id].owed, _bounties[id].free);
    }

    /// @inheritdoc ITrainingMarket
    function provider(BountyId id, address account) external view returns (Provider memory) {
        return _bounties[id].seats[account].standing;
    }

    /// @inheritdoc ITrainingMarket
    function commitmentOf(BountyId id, address account) external view returns (bytes32) {
        Seat storage seat = _bounties[id].seats[account];
        return seat.isCommitted() ? bytes32(seat.commitment) : bytes32(0);
    }

    /// @inheritdoc ITrainingMarket
    function seatOf(BountyId id, address account) external view returns (bool joined, uint16 index) {
        Seat storage seat = _bounties[id].seats[account];
        return (seat.commitment != 0, seat.standing.index);
    }

    /// @inheritdoc ITrainingMarket
    function revealOf(BountyId id, uint16 round, bytes32 updateRoot) external view returns (Reveal memory) {
        return _bounties[id].reveals[round][updateRoot];
    }

    /// @inheritdoc ITrainingMarket
    function revealsOf(BountyId id, uint16 round, bytes32[] calldata updateRoots)
        external
        view
        returns (RevealWord[] memory shown)
    {
        mapping(bytes32 updateRoot => Reveal) storage reveals = _bounties[id].reveals[round];
        shown = new RevealWord[](updateRoots.length);
        for (uint256 k = 0; k < shown.length; ++k) {
            shown[k] = RevealLib.pack(reveals[updateRoots[k]]);
        }
    }

    /// @inheritdoc ITrainingMarket
    function lapsedShare(BountyId id, uint16 round) external view returns (uint96) {
        return _bounties[id].lapsed[round];
    }

    /// @inheritdoc ITrainingMarket
    function bondOf(BountyId id, address account) external view returns (uint96 amount, uint32 lockedUntil) {
        Bounty storage bounty = _bounties[id];
        return (bounty.bonds[account].amount, bounty.bondFreeAt(bounty.present(), account));
    }
}
