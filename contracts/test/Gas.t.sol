// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Phase, RewardRule} from "../src/Types.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice What transactions cost at most, base fee and calldata included: each call is its own transaction here.
/// forge-config: default.isolate = true
contract GasTest is MarketTest {
    uint256 private constant COMMIT = 55_000;
    uint256 private constant REVEAL = 65_000;
    uint256 private constant MERGE = 200_000;
    uint256 private constant FIRST_CLAIM = 92_000;
    uint256 private constant LATER_CLAIM = 60_000;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function test_commit__whoeverCommits__costsAtMost55k() public {
        _open(6);
        for (uint16 round = 1; round <= 3; ++round) {
            for (uint256 k = 0; k < 5; ++k) {
                _commit(k); // first, quorum, others
                _spent("commit", COMMIT);
            }
            vm.warp(_clock().startedAt + 59);
            _commit(5); // the last one, which closes the phase
            _spent("closing commit", COMMIT);
            _warpTo(Phase.Reveal);
            for (uint256 k = 0; k < 6; ++k) {
                _reveal(k);
            }
            _merge(aggregator, 0);
        }
    }

    function test_commit__whenItWritesDownALapse__costsAtMost55kMoreThanTheLapse() public {
        _open(3);
        _commit(0);
        _commit(1);
        _warpTo(Phase.Reveal);
        vm.warp(_clock().endsAt); // nobody revealed: round 2 is open
        _commit(2);
        _spent("commit that settles a lapse", COMMIT + 55_000);
    }

    function test_reveal__whoeverReveals__costsAtMost65k() public {
        _measureReveals();
    }

    function test_reveal__whenStakesWeigh__costsAtMost65k() public {
        (rules.rewardRule, rules.maxWeight) = (RewardRule.Stake, 255);
        _measureReveals();
    }

    function _measureReveals() private {
        _open(6);
        for (uint16 round = 1; round <= 3; ++round) {
            for (uint256 k = 0; k < 6; ++k) {
                _commit(k);
            }
            for (uint256 k = 0; k < 6; ++k) {
                _reveal(k);
                _spent("reveal", REVEAL);
            }
            _merge(aggregator, 0);
        }
    }

    function test_merge__of1Update__costsAtMost200k() public {
        _measureMerges(1, 0);
    }

    function test_merge__of256AcceptedUpdates__costsAtMost200k() public {
        _measureMerges(256, 0);
    }

    function test_merge__of256RejectedUpdates__costsAtMost200k() public {
        _measureMerges(256, 256);
    }

    function test_merge__of255RejectedUpdates__costsAtMost200k() public {
        _measureMerges(256, 255);
    }

    function _measureMerges(uint16 updates, uint256 rejections) private {
        (rules.minUpdates, rules.maxUpdates) = (1, 256);
        (bytes memory reasons, uint256 rejected) = _rejections(rejections);
        _open(updates);
        for (uint16 round = 1; round <= 3; ++round) {
            for (uint256 k = 0; k < updates; ++k) {
                _commit(k);
            }
            _warpTo(Phase.Reveal);
            for (uint256 k = 0; k < updates; ++k) {
                _reveal(k);
            }
            _merge(aggregator, _claimOf(rejections == updates ? 0 : _share(round), rejected, reasons));
            _spent("merge", MERGE);
        }
    }

    function _rejections(uint256 count) private pure returns (bytes memory reasons, uint256 rejected) {
        reasons = new bytes(4 * count);
        for (uint256 k = 0; k < count; ++k) {
            (reasons[4 * k], reasons[4 * k + 3]) = (0x05, 0x11);
            rejected |= 1 << k;
        }
    }

    function test_claim__of1024Providers__costsAtMost92kThen60k() public {
        _open(3);
        for (uint16 round = 1; round <= 3; ++round) {
            _updates(3);
            uint96 cumulative = uint96(round) * 1_234_567_890_123_456_789;
            _setEqualPayouts(1_024, cumulative);
            _merge(aggregator, _share(round));
            vm.warp(vestsAt);
            if (round == 1) _emptyPockets();
            _claim(0, round, cumulative);
            _spent("claim", round == 1 ? FIRST_CLAIM : LATER_CLAIM);
            _claim(2, round, cumulative);
            _spent("claim", round == 1 ? FIRST_CLAIM : LATER_CLAIM);
            vm.warp(_clock().startedAt);
        }
    }

    function test_claim__afterManyRounds__costsTheSame() public {
        rules.rounds = 60;
        _open(2);
        for (uint16 round = 1; round <= 60; ++round) {
            _updates(2);
            if (round == 60) _setEqualPayouts(1_024, 60e18);
            _merge(aggregator, _share(round));
        }
        vm.warp(vestsAt);
        _emptyPockets();
        _claim(1, 60, 60e18);
        _spent("one claim of 60 rounds", FIRST_CLAIM);
    }

    /// @dev A first claim is the dearest for an account that has no tokens.
    function _emptyPockets() private {
        for (uint256 k = 0; k < 3; ++k) {
            uint256 balance = token.balanceOf(_provider(k));
            vm.prank(_provider(k));
            token.transfer(owner, balance);
        }
    }

    function _spent(string memory what, uint256 most) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        emit Measured(what, gas);
        assertLe(gas, most, what);
    }
}
