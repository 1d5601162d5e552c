// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Phase} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice How time carries a round on, and what it takes from whoever did not reveal.
contract PhasesTest is MarketTest {
    // --- forfeit ---

    function test_forfeit__ofAnUnopenedCommitment__movesMoneyToTheOwner() public {
        _open(3);
        _updates(2, 3);
        vm.expectEmit(address(market));
        emit EventsLib.StakeForfeited(id, _provider(2), 1, rules.forfeit);
        _forfeit(2);
        assertEq(_standing(2).stake, rules.stake - rules.forfeit, "stake");
        assertEq(_standing(2).unlocksAt, 0, "still a member");
        _assertMoney(0, rules.pot + rules.forfeit);
        _refused(ErrorsLib.NothingToForfeit.selector);
        _forfeit(2);
    }

    function test_forfeit__beforeTheRevealWindowIsOver__isRefused() public {
        _open(2);
        _refused(ErrorsLib.NothingToForfeit.selector);
        _forfeit(0);
        _commit(0);
        _commit(1);
        vm.warp(START + 29);
        _refused(ErrorsLib.NothingToForfeit.selector);
        _forfeit(0);
        vm.warp(START + 30); // lapsed
        _forfeit(0);
    }

    function test_forfeit__ofOneWhoRevealedOrNeverJoined__isRefused() public {
        _open(2);
        _updates(2);
        _refused(ErrorsLib.NothingToForfeit.selector);
        _forfeit(0);
        _refused(ErrorsLib.NothingToForfeit.selector);
        _forfeit(9);
    }

    function test_forfeit__whenTooLittleIsLeft__endsTheMembership() public {
        rules.forfeit = 60e18;
        _open(3);
        _updates(2, 3);
        _forfeit(2);
        assertEq(_clock().members, 2, "members");
        assertEq(_standing(2).stake, 40e18, "the rest");
        uint32 unlocksAt = _standing(2).unlocksAt;
        assertEq(unlocksAt, _now() + 3 * 60 + 30 + 40 + 50 + 100, "unlocks");
        vm.warp(unlocksAt);
        _withdraw(2);
        assertEq(_balance(_provider(2)), FORTUNE - 60e18, "provider");
    }

    function test_forfeit__ofTheWholeStake__letsTheProviderJoinAgain() public {
        rules.forfeit = rules.stake;
        _open(3);
        _updates(2, 3);
        _forfeit(2);
        _refused(ErrorsLib.NotMember.selector);
        _withdraw(2);
        _join(2);
        assertEq(_standing(2).index, 2, "index");
        assertEq(_standing(2).unlocksAt, 0, "a member again");
        assertEq(_clock().members, 3, "members");
    }

    function test_forfeit__ofTheLastWhoCouldCommit__closesTheCommitPhase() public {
        rules.forfeit = 60e18;
        _open(3);
        _updates(2, 3);
        _merge(aggregator, 0);
        _commit(0);
        _commit(1);
        _assertPhase(Phase.Commit, 2);
        _forfeit(2);
        _assertPhase(Phase.Reveal, 2);
    }

    function test_forfeit__ofACommitInAPhaseThatExpired__isRefused() public {
        _open(2);
        _commit(0);
        vm.warp(START + 180);
        _assertPhase(Phase.Ended, 1);
        _refused(ErrorsLib.NothingToForfeit.selector);
        _forfeit(0);
        _withdraw(0);
        assertEq(_balance(_provider(0)), FORTUNE, "provider");
    }

    function test_withdrawStake__withAnUnopenedCommitment__forfeitsFirst() public {
        _open(3);
        _updates(2, 3);
        vm.warp(_clock().endsAt + 50); // nobody merged: expired
        vm.expectEmit(address(market));
        emit EventsLib.BondForfeited(id, aggregator, 1, rules.bond);
        _withdraw(2);
        assertEq(_balance(_provider(2)), FORTUNE - rules.forfeit, "provider");
    }

    // --- phases ---

    function test_clock__overALapsedRound__opensTheNextAtTheLapse() public {
        _open(3);
        _commit(0);
        _commit(1);
        vm.warp(START + 60);
        _reveal(0);
        vm.warp(START + 100);
        _assertPhase(Phase.Commit, 2);
        assertEq(_clock().startedAt, START + 90, "since the lapse");
        assertEq(_clock().endsAt, START + 90 + 180, "patience");
        assertEq(_clock().commits, 0, "commits");

        vm.expectEmit(address(market));
        emit EventsLib.Lapsed(id, 1, 1, _share(1) / 2);
        vm.expectEmit(address(market));
        emit EventsLib.RoundOpened(id, 2, uint32(START + 90));
        _settle();
        assertEq(market.lapsedShare(id, 1), _share(1) / 2, "share: the quorum divides it, not the one who revealed");
        _assertMoney(_share(1) / 2, rules.pot - _share(1) / 2);
    }

    function test_clock__overALapseAndAnExpiry__endsAtTheExpiry() public {
        _open(2);
        _commit(0);
        _commit(1);
        vm.warp(START + 10_000);
        _assertPhase(Phase.Ended, 2);
        assertEq(_clock().startedAt, START + 30 + 180, "ended");
        vm.expectEmit(address(market));
        emit EventsLib.Lapsed(id, 1, 0, _share(1) / 2);
        vm.expectEmit(address(market));
        emit EventsLib.RoundOpened(id, 2, uint32(START + 30));
        vm.expectEmit(address(market));
        emit EventsLib.Ended(id, uint32(START + 210));
        _settle();
        _assertMoney(0, rules.pot);
    }

    function test_clock__whenTheLastRoundLapses__ends() public {
        rules.rounds = 1;
        _open(2);
        _commit(0);
        _commit(1);
        vm.warp(START + 30);
        _assertPhase(Phase.Ended, 1);
        assertEq(_clock().startedAt, START + 30, "ended");
    }

    function test_settle__whenNothingIsDue__changesNothing() public {
        _open(2);
        bytes32 before = keccak256(abi.encode(_clock()));
        vm.recordLogs();
        _settle();
        assertEq(vm.getRecordedLogs().length, 0, "events");
        assertEq(keccak256(abi.encode(_clock())), before, "clock");
    }

    /// @dev Whatever the times of two commits and two reveals: the stored clock is the seen clock, and phases touch.
    function testFuzz_clock__atAnyTime__isWhatSettlingWritesDown(uint256[6] memory waits, uint8 revealers) public {
        _open(3);
        for (uint256 k = 0; k < 2; ++k) {
            skip(bound(waits[k], 0, 100));
            if (_clock().phase == Phase.Commit && _round() == 1) _commit(k);
        }
        for (uint256 k = 0; k < 2; ++k) {
            skip(bound(waits[2 + k], 0, 60));
            if (_clock().phase == Phase.Reveal && k < revealers % 3) _reveal(k);
        }
        for (uint256 k = 4; k < 6; ++k) {
            skip(bound(waits[k], 0, 200));
            bytes32 seen = keccak256(abi.encode(_clock()));
            _settle();
            assertEq(keccak256(abi.encode(_clock())), seen, "clock");
            uint32 endsAt = _clock().endsAt;
            if (endsAt == 0) continue;
            assertTrue(_clock().startedAt <= _now() && _now() < endsAt, "now is within the phase");
            Phase present = _clock().phase;
            vm.warp(endsAt - 1);
            assertEq(uint256(_clock().phase), uint256(present), "until the last second");
            vm.warp(endsAt);
            assertTrue(_clock().phase != present, "and no longer");
        }
    }
}
