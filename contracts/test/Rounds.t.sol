// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Phase, RewardRule} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice Committing and revealing.
contract RoundsTest is MarketTest {
    // --- commit ---

    function test_commit__byAMember__isRecorded() public {
        _open(3);
        bytes32 commitment = _commitment(0, 1);
        vm.expectEmit(address(market));
        emit EventsLib.Committed(id, 1, _provider(0), commitment);
        _commit(0);
        assertEq(market.commitmentOf(id, _provider(0)), commitment >> 8 << 8, "commitment");
        assertEq(_standing(0).commitRound, 1, "round");
        assertEq(_clock().commits, 1, "commits");
    }

    function test_commit__twice__isRefused() public {
        _open(3);
        _commit(0);
        _refused(ErrorsLib.AlreadyCommitted.selector);
        _commit(0);
    }

    function testFuzz_commit__byAStranger__isRefused(address caller) public {
        _open(2);
        vm.assume(caller != _provider(0) && caller != _provider(1));
        _refused(ErrorsLib.NotMember.selector);
        _as(caller);
        market.commit(id, 1, "commitment");
    }

    function test_commit__byALeavingProvider__isRefused() public {
        _open(3);
        _leave(2);
        _refused(ErrorsLib.NotMember.selector);
        _commit(2);
    }

    function test_commit__afterADisqualification__countsOnceAndNoMoreThisRound() public {
        _open(3);
        _updates(2);
        _merge(aggregator, 0);
        _commit(0);
        _disqualify(0, 1);
        assertEq(_clock().commits, 0, "what can't be opened is no part of a quorum");
        _join(0);
        _refused(ErrorsLib.AlreadyCommitted.selector);
        _commit(0);
        _commit(1);
        assertEq(uint256(_clock().phase), uint256(Phase.Commit), "the quorum is not there");
        _commit(2);
        _warpTo(Phase.Reveal);
        assertEq(_clock().commits, 2, "commits");
    }

    function _disqualify(uint256 k, uint16 round) private {
        bytes32 updateRoot = _updateRoot(k, round);
        address judge = market.proofs();
        vm.prank(judge);
        market.disqualify(id, round, updateRoot, rival);
    }

    function test_commit__ofAReservedWord__isRefused() public {
        _open(2);
        for (uint256 word = 0; word < 512; word += 255) {
            _refused(ErrorsLib.ReservedCommitment.selector);
            _as(_provider(0));
            market.commit(id, 1, bytes32(word));
        }
        _as(_provider(0));
        market.commit(id, 1, bytes32(uint256(512)));
    }

    function test_commit__forAnotherRound__isRefused() public {
        _open(2);
        for (uint16 round = 0; round < 4; round += 2) {
            _refused(abi.encodeWithSelector(ErrorsLib.WrongRound.selector, 1));
            _as(_provider(0));
            market.commit(id, round, "commitment");
        }
    }

    function test_commit__beforeTheFirstRound__isRefused() public {
        _post();
        _join(0);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Joining));
        _commit(0);
    }

    function test_commit__atTheLastSecondOfTheWindow__countsAndOneLaterDoesNot() public {
        _open(3);
        _commit(0);
        vm.warp(START + 59);
        _commit(1);
        assertEq(_clock().endsAt, START + 60, "end of the window");
        vm.warp(START + 60);
        _assertPhase(Phase.Reveal, 1);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Reveal));
        _commit(2);
    }

    function test_commit__whenTheQuorumComesInALaterWindow__endsThePhaseWithThatWindow() public {
        _open(3);
        _commit(0);
        vm.warp(START + 120); // the third window begins
        assertEq(_clock().endsAt, START + 180, "patience");
        _commit(1);
        assertEq(_clock().endsAt, START + 180, "end of the third window");
        _commit(2);
        _assertPhase(Phase.Reveal, 1);
        assertEq(_clock().startedAt, START + 120, "at once when everyone has committed");
    }

    function test_commit__ofTheMaxUpdatesth__closesThePhase() public {
        rules.maxUpdates = 3;
        _open(5);
        _commit(0);
        _commit(1);
        skip(3);
        _commit(2);
        _assertPhase(Phase.Reveal, 1);
        assertEq(_clock().endsAt, START + 3 + 30, "reveal ends");
    }

    function test_commit__withAnUnopenedCommitment__isRefusedUntilForfeited() public {
        _open(3);
        _updates(2, 3);
        _merge(aggregator, 0);
        _refused(abi.encodeWithSelector(ErrorsLib.UnopenedCommitment.selector, 1));
        _commit(2);
        _forfeit(2);
        _commit(2);
        assertEq(_clock().commits, 1, "commits");
    }

    // --- reveal ---

    function test_reveal__ofACommittedUpdate__isRecorded() public {
        _open(2);
        _commit(0);
        _commit(1);
        vm.expectEmit(address(market));
        emit EventsLib.Revealed(id, 1, _provider(1), 0, _cid(1, 1), _updateRoot(1, 1), NORM, 1);
        _reveal(1);

        assertEq(market.revealOf(id, 1, _updateRoot(1, 1)).provider, _provider(1), "provider");
        assertEq(market.commitmentOf(id, _provider(1)), 0, "opened");
        assertEq(_clock().reveals, 1, "reveals");
        _reveal(0);
        assertEq(market.revealOf(id, 1, _updateRoot(0, 1)).index, 1, "index");
    }

    function test_reveal__ofTheLastCommit__closesThePhase() public {
        _open(2);
        _commit(0);
        _commit(1);
        skip(4);
        _reveal(0);
        _reveal(1);
        _assertPhase(Phase.Merge, 1);
        assertEq(_clock().startedAt, START + 4, "closed early");
        assertEq(_clock().endsAt, START + 4 + 40, "exclusive time");
    }

    function test_reveal__twice__isRefused() public {
        _open(3);
        for (uint256 k = 0; k < 3; ++k) {
            _commit(k);
        }
        _reveal(0);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongOpening.selector, bytes31(uint248(1))));
        _reveal(0);
    }

    function test_reveal__outsideItsWindow__isRefused() public {
        _open(3);
        for (uint256 k = 0; k < 2; ++k) {
            _commit(k);
        }
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Commit));
        _reveal(0);
        vm.warp(START + 60);
        _reveal(0);
        vm.warp(START + 90); // below the quorum: lapsed, round 2 commits
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Commit));
        _reveal(1);
        assertEq(_round(), 2, "round");
    }

    function testFuzz_reveal__ofAnythingElseThanWasCommitted__isRefused(bytes24 hash, uint64 squaredNorm, bytes32 salt)
        public
    {
        bytes32 other = _rootOf(hash, NORM);
        vm.assume(other != _updateRoot(0, 1) && salt != _salt(0, 1));
        squaredNorm = uint64(bound(squaredNorm, NORM + 1, rules.squaredNormBound));
        _open(2);
        _commit(0);
        _commit(1);
        _expectWrongOpening(_cid(0, 1), other, _salt(0, 1));
        _expectWrongOpening(_cid(0, 1), _rootOf(_updateRoot(0, 1), squaredNorm), _salt(0, 1));
        _expectWrongOpening(_cid(0, 1), _updateRoot(0, 1), salt);
        _reveal(0);
    }

    function _expectWrongOpening(bytes32 cid, bytes32 updateRoot, bytes32 salt) private {
        _refused(abi.encodeWithSelector(ErrorsLib.WrongOpening.selector, bytes31(_commitment(0, 1))));
        _as(_provider(0));
        market.reveal(id, 1, cid, updateRoot, salt);
    }

    function test_reveal__ofAnothersCommitment__isRefused() public {
        _open(2);
        bytes32 copied = _commitment(0, 1);
        _commit(0);
        _as(_provider(1));
        market.commit(id, 1, copied);
        _reveal(0);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongOpening.selector, bytes31(copied)));
        _as(_provider(1));
        market.reveal(id, 1, _cid(0, 1), _updateRoot(0, 1), _salt(0, 1));
    }

    function test_reveal__ofARootThatWasRevealed__isRefused() public {
        _open(2);
        _commit(0);
        bytes32 commitment = _commitment(_provider(1), 1, _updateRoot(0, 1), "other salt");
        _as(_provider(1));
        market.commit(id, 1, commitment);
        _reveal(0);
        _refused(abi.encodeWithSelector(ErrorsLib.DuplicateUpdate.selector, _provider(0)));
        _as(_provider(1));
        market.reveal(id, 1, _cid(0, 1), _updateRoot(0, 1), "other salt");
    }

    function testFuzz_reveal__ofANormOverTheBound__isRefused(uint64 squaredNorm, bool within) public {
        uint64 most = rules.squaredNormBound;
        squaredNorm = uint64(within ? bound(squaredNorm, 0, most) : bound(squaredNorm, most + 1, type(uint64).max));
        _open(2);
        bytes32 commitment = _commitment(_provider(0), 1, _rootOf("top", squaredNorm), "salt");
        _as(_provider(0));
        market.commit(id, 1, commitment);
        _commit(1);
        if (!within) _refused(abi.encodeWithSelector(ErrorsLib.NormOverBound.selector, most));
        _as(_provider(0));
        market.reveal(id, 1, "cid", _rootOf("top", squaredNorm), "salt");
    }

    function test_reveal__underStakeWeights__weighsWholeMultiplesUpToTheCap() public {
        (rules.rewardRule, rules.maxWeight, rules.forfeit) = (RewardRule.Stake, 4, 30e18);
        _post();
        uint96[6] memory stakes = [rules.stake, 199e18, 200e18, 499e18, 10_000e18, rules.stake];
        uint8[6] memory weights = [1, 1, 2, 4, 4, 1];
        for (uint256 k = 0; k < 6; ++k) {
            _join(k, stakes[k]);
        }
        _bond(aggregator);
        for (uint16 round = 1; round <= 2; ++round) {
            for (uint256 k = 0; k < 6; ++k) {
                _commit(k);
            }
            for (uint256 k = 0; k < (round == 1 ? 5 : 6); ++k) {
                _reveal(k);
                assertEq(market.revealOf(id, round, _updateRoot(k, round)).weight, weights[k], "weight");
            }
            _warpTo(Phase.Merge);
            _merge(aggregator, 0);
            if (round == 1) _forfeit(5); // now less than the least stake, still weighs 1
        }
    }
}
