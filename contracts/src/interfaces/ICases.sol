// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, MergeRecord} from "../Types.sol";
import {ITrainingMarket} from "./ITrainingMarket.sol";

/// @notice The merge that a proof is about.
struct Disputed {
    BountyId bounty;
    uint16 round;
    MergeRecord record; // what the merge's record hash binds
    MergeRecord previous; // the same of the merge that it builds on; zeros where that is the initial state
}

/// @notice A chunk and the siblings on its way to the root, 32 bytes each, from the leaf up.
struct Opening {
    bytes content;
    bytes siblings;
}

/// @title ICases
/// @notice What every contract that judges merges has.
interface ICases {
    /// @notice The proof shows that all is right.
    error NoFault();
    error NoMerge();
    /// @notice The record given is not the one that the merge of `round` recorded.
    error WrongRecord(uint16 round);
    /// @notice Update number `position` of the proof is not the revealed update that belongs there.
    error WrongUpdate(uint256 position, bytes32 updateRoot);
    error WrongUpdateCount(uint256 present, uint256 expected);
    error OutOfRange(uint256 index, uint256 size);
    /// @notice The bytes given do not have the recorded hash.
    error WrongPreimage();
    /// @notice The bounty's merge rule has nothing that this proof could show.
    error WrongRule();
    /// @notice The bounty's updates are masked, and this proof is not about such; or the other way round.
    error WrongMode();
    error NotRejected(uint16 index);

    /// @notice The market whose merges are judged.
    function market() external view returns (ITrainingMarket);
}
