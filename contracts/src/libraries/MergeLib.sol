// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim} from "../Types.sol";
import {BitsLib} from "./BitsLib.sol";
import {ErrorsLib} from "./ErrorsLib.sol";

/// @title MergeLib
/// @notice What a merge must satisfy and what the chain keeps of it.
library MergeLib {
    /// @notice Refuse a claim whose rejections don't fit the `reveals` of its round or that pays more than `share`.
    /// @dev Every revealed update is either accepted or rejected for a reason; nothing accepted, nothing paid.
    function validate(MergeClaim calldata claim, uint16 reveals, uint96 share) internal pure {
        require(claim.rejected >> reveals == 0, ErrorsLib.RejectedOutOfRange(reveals));
        uint256 count = BitsLib.countOnes(claim.rejected);
        require(claim.reasons.length == count, ErrorsLib.ReasonsMismatch(count, claim.reasons.length));
        require(!BitsLib.hasZeroByte(claim.reasons), ErrorsLib.EmptyReason());
        if (count == reveals) share = 0;
        require(claim.paid <= share, ErrorsLib.PaidOverShare(share));
    }

    /// @notice The hash of everything about a merge that a claim does not need.
    function recordHash(
        MergeClaim calldata claim,
        address aggregator,
        uint16 previousRound,
        uint16 reveals,
        uint16 memberCount
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                aggregator,
                previousRound,
                claim.stateRoot,
                claim.stateCid,
                claim.reportCid,
                claim.paid,
                claim.rejected,
                keccak256(claim.reasons),
                reveals,
                memberCount
            )
        );
    }
}
