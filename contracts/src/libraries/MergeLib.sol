// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim} from "../Types.sol";
import {ErrorsLib} from "./ErrorsLib.sol";

/// @title MergeLib
/// @notice What a merge must satisfy and what the chain keeps of it.
library MergeLib {
    /// @notice Refuse a claim whose rejections don't fit the `reveals` of its round or that pays more than `share`.
    /// @dev Every revealed update is either accepted or rejected for a reason; nothing accepted, nothing paid.
    function validate(MergeClaim calldata claim, uint16 reveals, uint96 share) internal pure {
        require(claim.rejected >> reveals == 0, ErrorsLib.RejectedOutOfRange(reveals));
        uint256 count = _countBits(claim.rejected);
        require(claim.reasons.length == count, ErrorsLib.ReasonsMismatch(count, claim.reasons.length));
        for (uint256 k = 0; k < count; ++k) {
            require(claim.reasons[k] != 0, ErrorsLib.EmptyReason(k));
        }
        if (count == reveals) share = 0;
        require(claim.paid <= share, ErrorsLib.PaidOverShare(share));
    }

    /// @notice The hash of everything about a merge that a claimer need not show.
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

    /// @notice The one word that stands for a merge in storage.
    function mergeHash(bytes32 payoutRoot, uint32 vestsAt, bytes32 record) internal pure returns (bytes32) {
        return keccak256(abi.encode(payoutRoot, vestsAt, record));
    }

    function _countBits(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) {
            ++count;
        }
    }
}
