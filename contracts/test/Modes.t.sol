// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRule, PrivacyMode, RewardRule} from "../src/Types.sol";
import {ICases, Opening} from "../src/interfaces/ICases.sol";
import {IFraudProofs, PayoutOpening} from "../src/interfaces/IFraudProofs.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {MergeLib} from "../src/libraries/MergeLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice What can be proven where a rule needs whole updates, where updates are masked, and where contribution pays.
/// forge-config: default.fuzz.runs = 16
/// forge-config: ci.fuzz.runs = 48
contract ModesTest is ProofTest {
    function _provesCoordinate() private {
        bytes memory packed = _packed(1, _accepted(0));
        _prove();
        proofs.proveCoordinate(_disputed(), chunk, 0, _before(), _after(), packed, "");
    }

    function _provesPaid(uint256 rejected, address leafless) private {
        bytes32[] memory roots = _roots(_accepted(rejected));
        _prove();
        proofs.provePaid(_disputed(), roots, leafless);
    }

    function _rejects(uint8 code) private {
        MergeClaim memory made = _honest(2);
        made.reasons = abi.encodePacked(code, uint24(chunk));
        _post(made);
    }

    function _provesRejection() private {
        (Opening memory leaf, bytes32 root, uint64 sum) = (_leaf(1), _updateRoot(1, 1), _sum(1, 1));
        _prove();
        proofs.proveRejection(_disputed(), reasons, root, sum, leaf);
    }

    function _provesPayout(uint16 seat, uint96 cumulative) private {
        (PayoutOpening memory payout, bytes32[] memory roots) = (_payout(seat, cumulative), _roots(_accepted(0)));
        _prove();
        proofs.provePayout(_disputed(), payout, roots);
    }

    // --- rules that need whole updates ---

    /// @dev MultiKrum, GeometricMedian or NearestNeighbours at a quorum of 5, against one faulty update.
    function _setWholeRule(uint8 rule, bool hasMomentum) private {
        rules.mergeRule = MergeRule(4 + rule % 3);
        rules.mergeParameters = bytes32(65_536 | uint256(hasMomentum ? 9 : 0) << 32 | 1 << 104);
    }

    function testFuzz_proveCoordinate__ofARuleThatNeedsWholeUpdates__isRefused(uint8 rule, bool hasMomentum) public {
        _setWholeRule(rule, hasMomentum);
        assertEq(_planes(), hasMomentum ? 2 : 1, "planes");
        _revealed(5);
        MergeClaim memory made = _honest(0);
        _spoil(made, 0, 1);
        _post(made);
        _refused(ICases.WrongRule.selector);
        _provesCoordinate();
    }

    function testFuzz_prove__underARuleThatNeedsWholeUpdates__stillJudgesPayAndRejections(uint8 rule, bool pay) public {
        _setWholeRule(rule, false);
        _revealed(5);
        MergeClaim memory made = _honest(2);
        (made.paid, made.reasons) = (pay ? made.paid - 1 : made.paid, abi.encodePacked(uint8(6), uint24(chunk)));
        _post(made);
        uint256 balance = _balance(PROVER);
        if (pay) _provesPaid(2, address(0));
        else _provesRejection();
        _assertVoided(PROVER, balance);
    }

    function testFuzz_proveScale__underARuleThatDoesNotClip__isRefused(uint8 rule) public {
        _setWholeRule(rule, false);
        _revealed(5);
        _post(_honest(0));
        _refused(ICases.WrongRule.selector);
        _prove();
        proofs.proveScale(_disputed(), 0, "", "");
        Opening memory nothing = Opening("", "");
        _refused(ICases.WrongRule.selector);
        _prove();
        proofs.proveDistance(_disputed(), 0, chunk, "", nothing, nothing, "", "");
    }

    // --- masked updates ---

    function _setMasked(uint8 rule) private {
        rules.privacy = PrivacyMode.Masked;
        rules.mergeRule = MergeRule(rule % 3);
        if (rules.mergeRule == MergeRule.TrimmedMean) rules.mergeParameters = bytes32(uint256(65_536 | 1 << 48));
    }

    function testFuzz_proveCoordinate__ofMaskedUpdates__isRefused(uint8 rule) public {
        _setMasked(rule);
        _revealed(3);
        MergeClaim memory made = _honest(0);
        _spoil(made, 0, 1);
        _post(made);
        _refused(ICases.WrongMode.selector);
        _provesCoordinate();
    }

    function test_proveLeaf__ofAMaskedUpdate__isRefused() public {
        _setMasked(0);
        _revealed(3);
        _refused(ICases.WrongMode.selector);
        _prove();
        proofs.proveLeaf(id, 1, chunk, _sum(1, 1) + 1, _leaf(1));
    }

    function testFuzz_proveRejection__ofAMaskedUpdateForWhatIsInIt__voidsTheMerge(bool norm, uint24 named) public {
        _setMasked(0);
        _revealed(3);
        MergeClaim memory made = _honest(2);
        made.reasons = abi.encodePacked(uint8(norm ? 5 : 6), named);
        _post(made);
        uint256 balance = _balance(PROVER);
        _provesRejection();
        _assertVoided(PROVER, balance);
    }

    function testFuzz_proveRejection__becauseItsMasksCannotBeTakenAway__isRefused(bool masked) public {
        if (masked) _setMasked(0);
        _revealed(3);
        _rejects(11);
        _refused(abi.encodeWithSelector(IFraudProofs.NotJudged.selector, 11));
        _provesRejection();
    }

    function test_prove__ofMaskedUpdates__stillJudgesPay() public {
        _setMasked(0);
        _revealed(3);
        MergeClaim memory made = _honest(0);
        made.paid -= 1;
        _post(made);
        uint256 balance = _balance(PROVER);
        _provesPaid(0, address(0));
        _assertVoided(PROVER, balance);
    }

    function test_voidFor__byTheJudgeOfMaskedMerges__voids() public {
        _setMasked(0);
        _revealed(3);
        _post(_honest(0));
        uint256 balance = _balance(PROVER);
        _as(proofs.masks());
        proofs.voidFor(id, 1, PROVER);
        _assertVoided(PROVER, balance);
    }

    function testFuzz_voidFor__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != proofs.masks() && caller != address(0));
        _revealed(3);
        _post(_honest(0));
        _refused(IFraudProofs.NotMasks.selector);
        _as(caller);
        proofs.voidFor(id, 1, caller);
    }

    // --- pay by contribution ---

    /// @dev A merge of three updates, the quorum, that pays no leaf; `rejected` of them are left out.
    function _byContribution(uint256 rejected) private returns (MergeClaim memory made) {
        rules.rewardRule = RewardRule.Contribution;
        _revealed(3);
        made = _honest(rejected);
        _setEqualPayouts(3, 0);
        made.payoutRoot = _claimOf(0, 0, "").payoutRoot;
        made.paid = uint96(uint256(_share(1)) * MergeLib.acceptedCount(rejected, 3) / 3);
    }

    function testFuzz_prove__ofAnHonestMergeByContribution__isRefused(uint8 rejected) public {
        rejected %= 8;
        _post(_byContribution(rejected));
        _refused(ICases.NoFault.selector);
        _provesPaid(rejected, address(0));
        _refused(ICases.NoFault.selector);
        _provesPayout(1, 0);
    }

    function testFuzz_provePaid__byContributionOfLessThanTheShare__voidsTheMerge(uint96 paid) public {
        MergeClaim memory made = _byContribution(0);
        made.paid = uint96(bound(paid, 0, _share(1) - 1));
        _post(made);
        uint256 balance = _balance(PROVER);
        _provesPaid(0, address(0));
        _assertVoided(PROVER, balance);
    }

    function test_provePaid__byContribution__needsNoLeafForWhoeverWasAccepted() public {
        MergeClaim memory made = _byContribution(0);
        made.payoutLeaves = 1;
        _post(made);
        _refused(ICases.NoFault.selector);
        _provesPaid(0, _provider(2));
    }

    function testFuzz_provePayout__byContributionOfALeafThatGrew__voidsTheMerge(uint96 cumulative) public {
        MergeClaim memory made = _byContribution(0);
        cumulative = uint96(bound(cumulative, 1, _share(1)));
        uint96[] memory payouts = new uint96[](3);
        payouts[1] = cumulative;
        _setPayouts(payouts);
        made.payoutRoot = _claimOf(0, 0, "").payoutRoot;
        _post(made);
        uint256 balance = _balance(PROVER);
        _provesPayout(1, cumulative);
        _assertVoided(PROVER, balance);
    }

    // --- terms ---

    function _invalid(string memory field) private {
        _refused(abi.encodeWithSelector(ErrorsLib.InvalidTerms.selector, field));
        _post();
    }

    function testFuzz_post__ofMaskedUpdates__isOnlyForRulesThatSumsAreEnoughFor(uint8 rule, uint8 reward) public {
        rules.privacy = PrivacyMode.Masked;
        rules.minUpdates = 5;
        rules.mergeRule = MergeRule(rule % 7);
        uint256 attackers = rules.mergeRule == MergeRule.Mean ? 0 : 1;
        uint256 trim = rules.mergeRule == MergeRule.TrimmedMean ? 1 : 0;
        uint256 clip = rules.mergeRule == MergeRule.CenteredClip ? 1 << 56 | 1 << 64 | 1 << 72 : 0;
        rules.mergeParameters = bytes32(65_536 | trim << 48 | clip | attackers << 104);
        rules.rewardRule = RewardRule(reward % 3);
        bool isKept = rules.mergeRule <= MergeRule.Median && rules.rewardRule != RewardRule.Contribution;
        if (!isKept) _invalid("privacy");
        if (!isKept) rules.privacy = PrivacyMode.Open;
        _post();
    }

    function testFuzz_post__inAnyOtherMode__takesEveryRule(uint8 mode, uint8 reward) public {
        rules.privacy = [PrivacyMode.Open, PrivacyMode.Dp, PrivacyMode.Encrypted][mode % 3];
        (rules.mergeRule, rules.rewardRule) = (MergeRule.GeometricMedian, RewardRule(reward % 3));
        _post();
    }

    function test_post__byContributionWithWeights__isRefused() public {
        (rules.rewardRule, rules.maxWeight) = (RewardRule.Contribution, 2);
        _invalid("maxWeight");
        rules.maxWeight = 1;
        _post();
    }

    function test_post__againstMoreAttackersThanTheRuleWithstands__isRefused() public {
        (rules.mergeRule, rules.minUpdates) = (MergeRule.MultiKrum, 5);
        rules.mergeParameters = bytes32(uint256(65_536 | 2 << 104));
        _invalid("mergeParameters");
        rules.mergeParameters = bytes32(uint256(65_536 | 1 << 104));
        _post();
    }
}
