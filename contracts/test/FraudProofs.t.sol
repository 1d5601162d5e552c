// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, Phase} from "../src/Types.sol";
import {ICases} from "../src/interfaces/ICases.sol";
import {IFraudProofs, Opening} from "../src/interfaces/IFraudProofs.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {OpeningLib} from "../src/libraries/OpeningLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice Every proof: it takes the bond of whoever lied, and nothing from whoever did not.
/// forge-config: default.fuzz.runs = 16
/// forge-config: ci.fuzz.runs = 48
contract FraudProofsTest is ProofTest {
    /// @dev Provider `faulty` commits to this much more than the sum of its chunk's squares.
    uint256 private _faulty = type(uint256).max;
    uint64 private _excess;

    function _sum(uint256 k, uint16 round) internal view override returns (uint64) {
        return super._sum(k, round) + (k == _faulty ? _excess : 0);
    }

    function _provesCoordinate(uint8 coordinate, uint256 rejected) private {
        bytes memory packed = _packed(1, _accepted(rejected));
        _prove();
        proofs.proveCoordinate(_disputed(), chunk, coordinate, _before(), _after(), packed, scales);
    }

    // --- coordinates ---

    function testFuzz_proveCoordinate__ofAnHonestMerge__isRefused(uint256 dice, uint8 rule, uint8 updates) public {
        _setRule(rule, dice);
        _revealed(bound(updates, 3, 7));
        uint256 rejected = dice % 8 == 0 ? dice >> 8 & (1 << count) - 1 : 0;
        _post(_honest(rejected));
        _refused(ICases.NoFault.selector);
        _provesCoordinate(uint8(dice % COORDINATES), rejected);
    }

    function testFuzz_proveCoordinate__ofAMergeThatIsWrongThere__voidsIt(uint256 dice, uint8 rule, int8 offBy) public {
        vm.assume(offBy != 0);
        _setRule(rule, dice);
        _revealed(3);
        MergeClaim memory made = _honest(0);
        uint256 at = dice % (COORDINATES * _planes());
        _spoil(made, at, offBy);
        _post(made);
        _refused(ICases.NoFault.selector);
        _provesCoordinate(uint8((at + 1) % COORDINATES), 0);
        uint256 balance = _balance(PROVER);
        _provesCoordinate(uint8(at % COORDINATES), 0);
        _assertVoided(PROVER, balance);
    }

    function test_proveCoordinate__withAnUpdateLeftOut__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        bytes memory packed = _packed(1, _accepted(4));
        _refused(abi.encodeWithSelector(ICases.WrongUpdateCount.selector, 2, 3));
        _prove();
        proofs.proveCoordinate(_disputed(), chunk, 0, _before(), _after(), packed, "");
    }

    function test_proveCoordinate__withUpdatesInAnotherOrder__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        uint256[] memory order = _accepted(0);
        (order[1], order[2]) = (order[2], order[1]);
        bytes memory packed = _packed(1, order);
        _refused(abi.encodeWithSelector(ICases.WrongUpdate.selector, 1, _updateRoot(2, 1)));
        _prove();
        proofs.proveCoordinate(_disputed(), chunk, 0, _before(), _after(), packed, "");
    }

    function test_proveCoordinate__withAnotherRecord__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        record.stateRoot = keccak256("another");
        _refused(abi.encodeWithSelector(ICases.WrongRecord.selector, 1));
        _provesCoordinate(0, 0);
    }

    function test_proveCoordinate__withAnotherStateBefore__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        beforehand = _anyState("another");
        _refused(abi.encodeWithSelector(OpeningLib.NotInTree.selector, rules.stateRoot));
        _provesCoordinate(5, 0);
    }

    function test_proveCoordinate__onceVested__isRefused() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        _spoil(made, 9, 1);
        _post(made);
        vm.warp(vestsAt);
        _refused(abi.encodeWithSelector(ErrorsLib.AlreadyVested.selector, vestsAt));
        _provesCoordinate(9, 0);
    }

    function test_proveCoordinate__inTheLastSecond__voids() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        _spoil(made, 9, -1);
        _post(made);
        vm.warp(vestsAt - 1);
        uint256 balance = _balance(PROVER);
        _provesCoordinate(9, 0);
        _assertVoided(PROVER, balance);
    }

    // --- leaves ---

    function testFuzz_proveLeaf__ofAnHonestUpdate__isRefused(uint8 k) public {
        _revealed(3);
        _refused(ICases.NoFault.selector);
        _prove();
        proofs.proveLeaf(id, 1, chunk, _sum(k % 3, 1), _leaf(k % 3));
    }

    function test_proveLeaf__ofAWrongSum__takesTheStakeAndDisqualifies() public {
        (_faulty, _excess) = (1, 1);
        _revealed(3);
        uint256 balance = _balance(PROVER);
        (, uint128 free) = market.money(id);
        _prove();
        proofs.proveLeaf(id, 1, chunk, _sum(1, 1), _leaf(1));
        assertEq(_balance(PROVER), balance + rules.stake / 2, "half of the stake");
        (, uint128 freeNow) = market.money(id);
        assertEq(freeNow, free + rules.stake - rules.stake / 2, "the other half");
        assertEq(_standing(1).stake, 0, "stake");
        assertTrue(market.revealOf(id, 1, _updateRoot(1, 1)).disqualified, "disqualified");
        _refused(ErrorsLib.Disqualified.selector);
        _prove();
        proofs.proveLeaf(id, 1, chunk, _sum(1, 1), _leaf(1));
    }

    function test_proveLeaf__ofAnUpdateThatNobodyRevealed__isRefused() public {
        (_faulty, _excess) = (7, 1);
        _revealed(3);
        _refused(ErrorsLib.UnknownUpdate.selector);
        _prove();
        proofs.proveLeaf(id, 1, chunk, _sum(7, 1), _leaf(7));
    }

    function test_proveAcceptance__ofADisqualifiedUpdate__voidsTheMerge() public {
        (_faulty, _excess) = (1, 5);
        _revealed(3);
        _post(_honest(0));
        bytes32 root = _updateRoot(1, 1);
        _refused(ICases.NoFault.selector);
        _prove();
        proofs.proveAcceptance(_disputed(), root);
        proofs.proveLeaf(id, 1, chunk, _sum(1, 1), _leaf(1));
        uint256 balance = _balance(PROVER);
        _prove();
        proofs.proveAcceptance(_disputed(), root);
        _assertVoided(PROVER, balance);
    }

    // --- rejections ---

    function _rejects(uint8 code, uint24 named) private {
        MergeClaim memory made = _honest(2);
        made.reasons = abi.encodePacked(code, named);
        _post(made);
    }

    function _provesRejection() private {
        (Opening memory leaf, bytes32 root, uint64 sum) = (_leaf(1), _updateRoot(1, 1), _sum(1, 1));
        _prove();
        proofs.proveRejection(_disputed(), reasons, root, sum, leaf);
    }

    function testFuzz_proveRejection__ofAFaultlessUpdate__voidsTheMerge(bool norm) public {
        _revealed(3);
        _rejects(norm ? 5 : 6, uint24(chunk));
        uint256 balance = _balance(PROVER);
        _provesRejection();
        _assertVoided(PROVER, balance);
    }

    function test_proveRejection__ofAFaultyUpdate__isRefused() public {
        (_faulty, _excess) = (1, 5);
        _revealed(3);
        _rejects(5, uint24(chunk));
        _refused(ICases.NoFault.selector);
        _provesRejection();
    }

    function testFuzz_proveRejection__forAReasonThatDoesNotExist__voidsTheMerge(uint8 code) public {
        vm.assume(code == 0 || code > 11);
        _revealed(3);
        _rejects(code, 0);
        uint256 balance = _balance(PROVER);
        _provesRejection();
        _assertVoided(PROVER, balance);
    }

    function testFuzz_proveRejection__forAReasonAboutAFileOrAWholeUpdate__isRefused(uint8 code) public {
        code = uint8(bound(code, 1, 8));
        if (code > 4) code += 2; // 7 to 10
        _revealed(3);
        _rejects(code, 0);
        _refused(abi.encodeWithSelector(IFraudProofs.NotJudged.selector, code));
        _provesRejection();
    }

    function test_proveRejection__ofAnAcceptedUpdate__isRefused() public {
        _revealed(3);
        _post(_honest(4));
        _refused(abi.encodeWithSelector(ICases.NotRejected.selector, 1));
        _provesRejection();
    }

    // --- after a proof ---

    function test_voidMerge__byAnyoneElse__isRefused() public {
        _revealed(3);
        _post(_honest(0));
        _refused(ErrorsLib.NotJudge.selector);
        _as(owner);
        market.voidMerge(id, 1, owner);
    }

    function test_voidMerge__thenARivalMergesTheSameUpdates__theBountyGoesOn() public {
        _revealed(3);
        MergeClaim memory made = _honest(0);
        MergeClaim memory honest = _honest(0);
        made.paid -= 1;
        _post(made);
        bytes32[] memory roots = _roots(_accepted(0));
        for (uint256 k = 0; k < 3; ++k) {
            _commit(k); // round 2, which was built on the lie
        }
        _prove();
        proofs.provePaid(_disputed(), roots, address(0));
        _assertPhase(Phase.OpenMerge, 1);
        _bond(rival);
        skip(1);
        _merge(rival, honest);
        _assertPhase(Phase.Commit, 3);
        for (uint256 k = 0; k < 3; ++k) {
            _commit(k); // nothing was forfeited for the round that was interrupted
            assertEq(_standing(k).stake, rules.stake, "stake");
        }
    }
}
