// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId} from "./Types.sol";
import {IMaskBoard} from "./interfaces/IMaskBoard.sol";

/// @title MaskBoard
/// @notice Where members of masked rounds say what they have published. Keeps nothing and judges nothing: whoever reads it
/// checks the file and who sent it.
contract MaskBoard is IMaskBoard {
    /// @inheritdoc IMaskBoard
    function announce(BountyId bounty, uint16 round, bytes32 cid) external {
        emit Announced(bounty, round, msg.sender, cid);
    }
}
