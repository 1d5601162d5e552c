// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRecord} from "../Types.sol";
import {BitsLib} from "./BitsLib.sol";
import {ErrorsLib} from "./ErrorsLib.sol";

/// @title MergeLib
/// @notice What a merge must satisfy and what the chain keeps of it.
library MergeLib {
    /// @notice Bytes that give the reason of one rejection.
    uint256 internal constant REASON_BYTES = 4;

    /// @notice Refuse a claim whose rejections don't fit the `reveals` of its round, that pays more than `share`, or
    /// whose payout tree has leaves for more than `members` or the root that stands for none.
    /// @dev Every revealed update is either accepted or rejected for a reason; nothing accepted, nothing paid.
    function validate(MergeClaim calldata claim, uint16 reveals, uint96 share, uint16 members) internal pure {
        require(claim.rejected >> reveals == 0, ErrorsLib.RejectedOutOfRange(reveals));
        uint256 count = BitsLib.countOnes(claim.rejected);
        require(claim.reasons.length == REASON_BYTES * count, ErrorsLib.ReasonsMismatch(count, claim.reasons.length));
        require(claim.payoutLeaves != 0 && claim.payoutLeaves <= members, ErrorsLib.PayoutLeavesOutOfRange(members));
        require(bytes28(claim.payoutRoot) != 0, ErrorsLib.NoPayoutRoot());
        if (count == reveals) share = 0;
        require(claim.paid <= share, ErrorsLib.PaidOverShare(share));
    }

    /// @notice How many of a round's updates a merge accepted.
    function acceptedCount(uint256 rejected, uint16 reveals) internal pure returns (uint256) {
        return reveals - BitsLib.countOnes(rejected);
    }

    /// @notice What a claim's record is.
    function recordOf(MergeClaim calldata claim) internal view returns (MergeRecord memory) {
        return MergeRecord(
            uint32(block.timestamp),
            claim.stateRoot,
            claim.stateCid,
            claim.reportCid,
            claim.payoutLeaves,
            claim.metric,
            claim.rejected,
            keccak256(claim.reasons),
            claim.scalesHash,
            claim.distancesHash,
            claim.clipCid
        );
    }

    /// @notice What the chain keeps of a record.
    function hash(MergeRecord memory record) internal pure returns (bytes28) {
        return bytes28(keccak256(abi.encode(record)));
    }
}
