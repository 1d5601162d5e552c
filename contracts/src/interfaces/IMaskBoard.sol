// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId} from "../Types.sol";

/// @title IMaskBoard
/// @notice Announces unmasking files: shares of the seeds that a round's merge needs. See docs/PROTOCOL.md, section 16.
/// @dev Warning: anyone can announce anything, for bounties and rounds that don't exist too.
interface IMaskBoard {
    /// @param cid sha2-256 digest of the unmasking file's CIDv0
    event Announced(BountyId indexed bounty, uint16 indexed round, address indexed sender, bytes32 cid);

    /// @notice Say that the caller has published its unmasking file of a round.
    function announce(BountyId bounty, uint16 round, bytes32 cid) external;
}
