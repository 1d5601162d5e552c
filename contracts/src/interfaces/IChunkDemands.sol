// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, MergeRecord} from "../Types.sol";
import {ITrainingMarket} from "./ITrainingMarket.sol";

/// @notice What can be demanded of whoever merged. New kinds are appended, never renumbered.
enum ChunkKind {
    State, // a chunk of the merged state
    Update, // a chunk of an accepted update
    Payout, // a leaf of the payout tree
    Clip, // all scales and the roots of all distance trees
    Distance, // a leaf of a distance tree
    Masks // the table of the masks that were taken away
}

/// @notice What a demand is for.
struct Demanded {
    BountyId bounty;
    uint16 round;
    ChunkKind kind;
    bytes32 key; // the update's root; the distance tree's pair; else 0
    uint32 index; // of the chunk or leaf; 0 for `Clip` and `Masks`; a masked update's key leaf is behind its last chunk
}

/// @notice A demand. Two slots apart from `Demanded`.
struct Demand {
    Demanded demanded;
    address demander; // 0: no such demand, or settled
    uint96 fee;
    bytes28 recordHash; // of the merge that it is about
    uint32 endsAt; // it must be answered before
}

/// @title IChunkDemands
/// @notice Brings withheld chunks into the open: for a fee anyone demands one chunk of a merge, and a merge whose chunk
/// is not shown in time is void as if it had been proven wrong.
interface IChunkDemands {
    event ChunkDemanded(
        uint256 indexed id, BountyId indexed bounty, uint16 indexed round, Demanded demanded, uint32 endsAt
    );
    /// @notice A demanded chunk was shown; `content` and `siblings` as in `answer`.
    event ChunkAnswered(uint256 indexed id, address indexed account, bytes content, bytes siblings);
    /// @notice A demand was not answered, or its merge is void: the fee went back.
    event DemandEnded(uint256 indexed id, bool voided);

    error UnknownDemand();
    error AlreadyDemanded(uint256 id);
    error NoMerge();
    error WrongRecord();
    error OutOfRange(uint256 index, uint256 size);
    error NotAccepted();
    error WrongContent();
    /// @notice The fee changed the balance by another amount.
    error WrongBalance(uint256 present, uint256 expected);
    error TooLate(uint32 endsAt);
    error TooEarly(uint32 endsAt);

    /// @notice The market whose merges are asked about.
    function market() external view returns (ITrainingMarket);

    /// @notice How many demands were made; also the latest id. Ids start at 1.
    function demandCount() external view returns (uint256);

    /// @notice A demand; zeros for one that does not exist, was answered or has ended.
    function demandOf(uint256 id) external view returns (Demand memory);

    /// @notice Demand one chunk of an unvested merge. Takes `terms.demandFee` from the caller; it goes to whoever
    /// answers within `terms.answerSeconds`, or comes back. Nothing built on the merge vests before the caller had as
    /// much time again to use the answer. Whoever answers its own demand has the fee back: so that it can't put a
    /// vesting off for ever, a demand must end within `terms.challengeSeconds` and 63 times `terms.answerSeconds`.
    /// @param record what the merge's record hash binds
    function demand(Demanded calldata demanded, MergeRecord calldata record) external returns (uint256 id);

    /// @notice Show a demanded chunk. Anyone who has it may.
    /// @param content the chunk; for `Update` followed by its committed sum (8 bytes) unless it is masked, for `Payout`
    /// account and cumulative amount (20 and 12 bytes), for `Clip` the scales, for `Distance` the sum (8 bytes) and the
    /// roots of all distance trees, for `Masks` the table
    /// @param siblings 32 bytes each, from the leaf up; for `Clip` the roots of all distance trees, for `Masks` none
    function answer(uint256 id, MergeRecord calldata record, bytes calldata content, bytes calldata siblings) external;

    /// @notice End a demand that was not answered in time: the merge is void, the fee and half of the bond go to the
    /// demander. Where the merge is void already, or has vested, only the fee goes back. Anyone may call.
    /// @dev A demander to whom the token can't be sent forgoes its fee, and its half of the bond to the caller.
    function expire(uint256 id) external;
}
