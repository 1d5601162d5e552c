// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId} from "../Types.sol";
import {Disputed, ICases, Opening} from "./ICases.sol";
import {IFraudProofs} from "./IFraudProofs.sol";
import {IMaskBoard} from "./IMaskBoard.sol";

/// @title IMaskProofs
/// @notice Judges what merges of masked updates did with the masks. Every proof is one transaction by anyone, recomputed
/// here from committed bytes; it reverts with the reason where it shows no fault, and else takes the bond and voids the
/// merge. See docs/PROTOCOL.md, section 16.
/// @dev Warning: a proof is public while it waits to be included, and whoever sends it first has the reward. What a
/// member put under its masks is not judged: its own seeds may be anything that its key leaf commits to.
interface IMaskProofs is ICases {
    /// @notice A coordinate was proven wrong: it is `claimed` but `follows` from the masked updates and the table.
    event MaskedCoordinateProven(
        BountyId indexed bounty,
        uint16 indexed round,
        uint256 coordinate,
        int256 claimed,
        int256 follows,
        int256 claimedPrevious,
        int256 followsPrevious
    );
    event TableProven(BountyId indexed bounty, uint16 indexed round);
    /// @notice A seed or the sign of a mask was proven wrong.
    event SeedProven(BountyId indexed bounty, uint16 indexed round, uint256 position, uint256 slot);
    /// @notice A key leaf, or the masks or the group that the table gives its update, were proven wrong.
    event MasksProven(BountyId indexed bounty, uint16 indexed round, uint256 position);

    /// @notice The table does not have its form: `proveTable` shows that.
    error MalformedTable();

    /// @notice The contract that voids what is found wrong here.
    function proofs() external view returns (IFraudProofs);

    /// @notice Where members announce their unmasking files.
    function board() external view returns (IMaskBoard);

    /// @notice The new state at one coordinate is not what the rule gives once the table's masks are taken away.
    /// @param beforehand the chunk in the state that the merge builds on
    /// @param afterwards the chunk in the merged state
    /// @param updates of every accepted update, by rising reveal index, packed: 512 bytes of masked chunk, its siblings
    /// @param table the masks that the merge took away
    function proveMaskedCoordinate(
        Disputed calldata disputed,
        uint32 chunk,
        uint8 coordinate,
        Opening calldata beforehand,
        Opening calldata afterwards,
        bytes calldata updates,
        bytes calldata table
    ) external;

    /// @notice The table does not have a row for each accepted update and nothing else, or not in its form.
    function proveTable(Disputed calldata disputed, bytes calldata table) external;

    /// @notice A seed of the table is not the one that the update's key leaf commits to, or its sign is wrong.
    /// @param position of the update among the accepted, by rising reveal index
    /// @param mask which one of its row
    /// @param keys the update's key leaf
    function proveSeed(
        Disputed calldata disputed,
        uint256 position,
        uint256 mask,
        bytes32 updateRoot,
        Opening calldata keys,
        bytes calldata table
    ) external;

    /// @notice The table takes other masks from an accepted update than its own and those of its peers who are not
    /// accepted, has another group than its accepted peers for it, or the update should not have been accepted at all,
    /// because its key leaf is not well-formed.
    /// @param updateRoots of all accepted updates, by rising reveal index
    function proveMasks(
        Disputed calldata disputed,
        uint256 position,
        bytes32[] calldata updateRoots,
        Opening calldata keys,
        bytes calldata table
    ) external;
}
