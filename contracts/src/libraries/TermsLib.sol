// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRule, PrivacyMode, RewardRule, Terms} from "../Types.sol";
import {ErrorsLib} from "./ErrorsLib.sol";
import {MergeRuleLib} from "./MergeRuleLib.sol";

/// @title TermsLib
/// @notice What terms may be, and what follows from them.
library TermsLib {
    /// @notice As many as there are bits in a merge's `rejected`.
    uint256 internal constant MOST_UPDATES = 256;

    /// @notice Updates times iterations of clipping: the proof of a distance does all of them again, in one transaction.
    uint256 internal constant MOST_CLIPPED = 512;

    /// @notice Voiding the first of so many unvested merges fits into a block, with the proof that does it.
    uint256 internal constant MOST_ROUNDS = 512;

    /// @notice 2^31 coordinates; a chunk's number fits 24 bits.
    uint256 internal constant MOST_CHUNKS = 1 << 24;

    /// @notice Refuse terms at the first field that is out of its range.
    function validate(Terms calldata terms) internal view {
        require(address(terms.token).code.length != 0, ErrorsLib.InvalidTerms("token"));
        require(terms.pot != 0, ErrorsLib.InvalidTerms("pot"));
        require(terms.aggregator != address(0), ErrorsLib.InvalidTerms("aggregator"));
        // all that providers can be owed fits in 96 bits
        require(terms.bond != 0 && terms.bond <= type(uint96).max - terms.pot, ErrorsLib.InvalidTerms("bond"));
        require(terms.stake != 0, ErrorsLib.InvalidTerms("stake"));
        require(terms.squaredNormBound != 0, ErrorsLib.InvalidTerms("squaredNormBound"));
        require(terms.rounds != 0, ErrorsLib.InvalidTerms("rounds"));
        require(terms.minUpdates != 0, ErrorsLib.InvalidTerms("minUpdates"));
        require(
            terms.maxUpdates >= terms.minUpdates && terms.maxUpdates <= MOST_UPDATES,
            ErrorsLib.InvalidTerms("maxUpdates")
        );
        require(
            terms.maxWeight != 0 && (terms.rewardRule == RewardRule.Stake || terms.maxWeight == 1),
            ErrorsLib.InvalidTerms("maxWeight")
        );
        require(terms.forfeit <= terms.stake, ErrorsLib.InvalidTerms("forfeit"));
        require(terms.commitSeconds != 0, ErrorsLib.InvalidTerms("commitSeconds"));
        require(terms.revealSeconds != 0, ErrorsLib.InvalidTerms("revealSeconds"));
        require(terms.mergeSeconds != 0, ErrorsLib.InvalidTerms("mergeSeconds"));
        // no phase outlasts 2^24 seconds (194 days), so no sum of times overflows before the year 2105
        require(
            terms.patience != 0 && uint256(terms.patience) * terms.commitSeconds <= type(uint24).max,
            ErrorsLib.InvalidTerms("patience")
        );
        require(terms.challengeSeconds != 0, ErrorsLib.InvalidTerms("challengeSeconds"));
        // a proof may have to walk over all of them
        require(terms.rounds <= MOST_ROUNDS, ErrorsLib.InvalidTerms("rounds"));
        require(terms.chunks != 0 && terms.chunks <= MOST_CHUNKS, ErrorsLib.InvalidTerms("chunks"));
        require(terms.demandFee != 0, ErrorsLib.InvalidTerms("demandFee"));
        require(terms.answerSeconds != 0, ErrorsLib.InvalidTerms("answerSeconds"));
        require(terms.manifest != 0, ErrorsLib.InvalidTerms("manifest"));
        require(terms.stateRoot != 0, ErrorsLib.InvalidTerms("stateRoot"));
        require(
            MergeRuleLib.areValid(terms.mergeRule, terms.mergeParameters, terms.minUpdates),
            ErrorsLib.InvalidTerms("mergeParameters")
        );
        // no other rule has iterations
        require(
            terms.maxUpdates * MergeRuleLib.unpack(terms.mergeParameters).iterations <= MOST_CLIPPED,
            ErrorsLib.InvalidTerms("maxUpdates")
        );
        require(_isKept(terms), ErrorsLib.InvalidTerms("privacy"));
    }

    /// @notice Whether a merge with this metric ends the bounty.
    function isReachedBy(Terms storage terms, uint32 metric) internal view returns (bool) {
        uint32 target = terms.target;
        return target != 0 && metric >= target;
    }

    /// @notice The part of the pot that `round` may pay. The shares of all rounds add up to the pot.
    function share(Terms storage terms, uint16 round) internal view returns (uint96) {
        (uint256 pot, uint256 rounds) = (terms.pot, terms.rounds);
        return uint96(pot * round / rounds - pot * (round - 1) / rounds);
    }

    /// @dev Under masks a rule can only see sums of groups, and nobody what a single update is worth.
    function _isKept(Terms calldata terms) private pure returns (bool) {
        if (terms.privacy != PrivacyMode.Masked) return true;
        return terms.mergeRule <= MergeRule.Median && terms.rewardRule != RewardRule.Contribution;
    }
}
