// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, MergeClaim, Terms} from "../Types.sol";

/// @title EventsLib
/// @notice Every state change of the market, enough to rebuild its storage.
library EventsLib {
    event Posted(BountyId indexed bounty, address indexed owner, Terms terms);
    event Cancelled(BountyId indexed bounty, uint96 refunded);
    event Joined(
        BountyId indexed bounty,
        address indexed provider,
        uint16 index,
        uint96 stake,
        bytes32 encryptionKey,
        string multiaddr
    );
    event Left(BountyId indexed bounty, address indexed provider, uint32 unlocksAt);
    /// @notice A provider that had not left stops being a member with this.
    event StakeWithdrawn(BountyId indexed bounty, address indexed provider, uint96 amount);
    /// @notice A provider lost part of its stake to the owner. If too little is left, `Left` follows.
    event StakeForfeited(BountyId indexed bounty, address indexed provider, uint16 round, uint96 amount);
    /// @notice A round's commit window began.
    event RoundOpened(BountyId indexed bounty, uint16 indexed round, uint32 openedAt);
    event Committed(BountyId indexed bounty, uint16 indexed round, address indexed provider, bytes32 commitment);
    event Revealed(
        BountyId indexed bounty,
        uint16 indexed round,
        address indexed provider,
        uint16 index,
        bytes32 cid,
        bytes32 updateRoot,
        uint64 squaredNorm,
        uint8 weight
    );
    event BondDeposited(BountyId indexed bounty, address indexed account, uint96 amount);
    event BondWithdrawn(BountyId indexed bounty, address indexed account, uint96 amount);
    /// @notice The silent aggregator's bond went to the updates of the round that it did not merge.
    event BondForfeited(BountyId indexed bounty, address indexed account, uint16 round, uint96 amount);
    event Merged(
        BountyId indexed bounty,
        uint16 indexed round,
        address indexed aggregator,
        MergeClaim claim,
        uint16 reveals,
        uint16 previous,
        uint32 mergedAt,
        uint32 vestsAt,
        bytes28 recordHash
    );
    /// @notice A merge was proven wrong. It, every later merge and the round `interrupted` are void; `round` can be
    /// merged again. The later rounds' updates are paid as in a lapsed round: a `Lapsed` follows for each.
    event MergeVoided(
        BountyId indexed bounty,
        uint16 indexed round,
        address indexed aggregator,
        address prover,
        uint16 interrupted,
        uint96 bond,
        uint96 reward
    );
    /// @notice An update was proven faulty; its provider lost its whole stake and is no member any more.
    event UpdateDisqualified(
        BountyId indexed bounty,
        uint16 indexed round,
        address indexed provider,
        bytes32 updateRoot,
        address prover,
        uint96 stake,
        uint96 reward
    );
    /// @notice Nothing built on the merge of `round` vests, and no stake or bond leaves, before `until`.
    event VestingExtended(BountyId indexed bounty, uint16 indexed round, uint32 until);
    /// @notice A round ended without a merge; each of its `reveals` updates may take `share`.
    event Lapsed(BountyId indexed bounty, uint16 indexed round, uint16 reveals, uint96 share);
    /// @notice No round follows.
    event Ended(BountyId indexed bounty, uint32 endedAt);
    event Claimed(BountyId indexed bounty, address indexed provider, uint96 amount);
    event LapsedClaimed(
        BountyId indexed bounty, uint16 indexed round, address indexed provider, bytes32 updateRoot, uint96 amount
    );
    /// @notice The share of a vested round went to the contract that divides it by contribution.
    event ShareReleased(BountyId indexed bounty, uint16 indexed round, uint96 amount);
    event Refunded(BountyId indexed bounty, address indexed owner, uint128 amount);
}
