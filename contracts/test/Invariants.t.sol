// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {DevToken} from "../src/DevToken.sol";
import {TrainingMarket} from "../src/TrainingMarket.sol";
import {BountyId, Clock, MergeRule, Phase, PrivacyMode, Provider, RewardRule, Terms} from "../src/Types.sol";
import {Handler} from "./support/Handler.sol";
import {Markets} from "./support/Markets.sol";

/// @notice The invariants that contracts/README.md numbers. I5, I6 are checked by the handler at every action.
contract InvariantsTest is Markets {
    Handler private _handler;
    TrainingMarket private _market;
    DevToken private _token;
    address private _owner = address(0x0A);

    function setUp() public {
        vm.warp(1_750_000_000);
        (_market, _token) = (_newMarket(), new DevToken());
        Terms memory equal = _terms();
        Terms memory weighted = _terms();
        (weighted.rewardRule, weighted.maxWeight) = (RewardRule.Stake, 5);
        (weighted.pot, weighted.rounds, weighted.maxUpdates, weighted.forfeit) = (1_000_003, 2, 3, 60);
        _handler = new Handler(_market, _token, [equal, weighted], _owner);
    }

    function _terms() private view returns (Terms memory) {
        return Terms({
            token: IERC20(address(_token)),
            pot: 1_000_001,
            aggregator: address(0x0B),
            bond: 5_000,
            stake: 100,
            squaredNormBound: 1_000,
            rounds: 4,
            minUpdates: 2,
            maxUpdates: 256,
            mergeRule: MergeRule.Mean,
            rewardRule: RewardRule.Equal,
            maxWeight: 1,
            privacy: PrivacyMode.Open,
            forfeit: 30,
            commitSeconds: 60,
            revealSeconds: 50,
            mergeSeconds: 40,
            openMergeSeconds: 50,
            challengeSeconds: 70,
            patience: 3,
            chunks: 8,
            demandFee: 1,
            answerSeconds: 20,
            manifest: "manifest",
            stateRoot: "state",
            mergeParameters: bytes32(uint256(65_536))
        });
    }

    /// @dev forge calls only the handler.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev All actions; those that carry a bounty on more often.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[24] memory actions = [
            Handler.wait.selector,
            Handler.carryOn.selector,
            Handler.waitLong.selector,
            Handler.join.selector,
            Handler.carryOn.selector,
            Handler.carryOn.selector,
            Handler.leave.selector,
            Handler.withdrawStake.selector,
            Handler.commit.selector,
            Handler.carryOn.selector,
            Handler.carryOn.selector,
            Handler.reveal.selector,
            Handler.carryOn.selector,
            Handler.carryOn.selector,
            Handler.forfeit.selector,
            Handler.depositBond.selector,
            Handler.withdrawBond.selector,
            Handler.merge.selector,
            Handler.claim.selector,
            Handler.claim.selector,
            Handler.claimLapsed.selector,
            Handler.settle.selector,
            Handler.refund.selector,
            Handler.cancel.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_handler), new bytes4[](actions.length));
        for (uint256 k = 0; k < actions.length; ++k) {
            targets[0].selectors[k] = actions[k];
        }
    }

    function invariant_I1_theMarketHoldsExactlyWhatItOwes() public view {
        uint256 sum = 0;
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            sum += _held(bounty);
        }
        assertEq(_token.balanceOf(address(_market)), sum, "I1");
    }

    function invariant_I2_noBountyPaysFromAnothersMoney() public view {
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            assertEq(_handler.cameIn(bounty), _handler.wentOut(bounty) + _held(bounty), "I2");
        }
    }

    function invariant_I3_providersGetWhatWasAllocatedAndNoMore() public view {
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            BountyId id = BountyId.wrap(bounty);
            Terms memory terms = _market.terms(id);
            uint256 allocated = _handler.paidByMerges(bounty);
            for (uint16 round = 1; round <= terms.rounds; ++round) {
                allocated += _market.lapsedShare(id, round) * _handler.revealsOf(bounty, round);
            }
            (uint96 owed,) = _market.money(id);
            assertEq(_handler.taken(bounty) + owed, allocated, "I3");
            assertLe(allocated, uint256(terms.pot) + terms.bond, "I3: at most the pot and one bond");
        }
    }

    function invariant_I4_noProviderIsPaidTwice() public view {
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            for (uint256 k = 0; k < _handler.PROVIDERS(); ++k) {
                address account = _handler.providerAt(k);
                uint96 claimed = _market.provider(BountyId.wrap(bounty), account).claimed;
                assertEq(claimed, _handler.claimed(bounty, account), "I4");
            }
        }
    }

    function invariant_I7_countersCount() public view {
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            BountyId id = BountyId.wrap(bounty);
            Clock memory clock = _market.clock(id);
            uint256 members = 0;
            for (uint256 k = 0; k < _handler.PROVIDERS(); ++k) {
                Provider memory standing = _market.provider(id, _handler.providerAt(k));
                if (standing.stake != 0 && standing.unlocksAt == 0) ++members;
            }
            assertEq(clock.members, members, "I7: members");
            assertEq(clock.memberCount, _handler.everJoined(bounty), "I7: ever joined");
            assertLe(clock.reveals, clock.commits, "I7: reveals");
            assertLe(clock.commits, _market.terms(id).maxUpdates, "I7: commits");
            assertEq(clock.reveals, _handler.revealsOf(bounty, clock.round), "I7: counted reveals");
            if (clock.phase == Phase.Commit) assertLe(clock.commits, clock.members, "I7: only members commit");
        }
    }

    function invariant_I8_theClockShownIsTheClockWrittenDown() public {
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            BountyId id = BountyId.wrap(bounty);
            bytes32 shown = keccak256(abi.encode(_market.clock(id)));
            _market.settle(id);
            assertEq(keccak256(abi.encode(_market.clock(id))), shown, "I8");
        }
    }

    function invariant_I9_aMembersStakeCoversItsNextForfeit() public view {
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            BountyId id = BountyId.wrap(bounty);
            for (uint256 k = 0; k < _handler.PROVIDERS(); ++k) {
                Provider memory standing = _market.provider(id, _handler.providerAt(k));
                if (standing.stake == 0 || standing.unlocksAt != 0) continue;
                assertLe(_market.terms(id).forfeit, standing.stake, "I9");
            }
        }
    }

    /// @notice I10: nothing is stuck. At the end of every run all take what is theirs, and the market is empty.
    function afterInvariant() public {
        _handler.drain();
        assertEq(_token.balanceOf(address(_market)), 0, "I10");
    }

    /// @dev What one bounty holds: both purses, all stakes, all bonds.
    function _held(uint256 bounty) private view returns (uint256 sum) {
        BountyId id = BountyId.wrap(bounty);
        (uint96 owed, uint128 free) = _market.money(id);
        sum = owed + free;
        for (uint256 k = 0; k < _handler.PROVIDERS(); ++k) {
            sum += _market.provider(id, _handler.providerAt(k)).stake;
        }
        for (uint256 k = 0; k < 2; ++k) {
            (uint96 bond,) = _market.bondOf(id, _handler.bonders(k));
            sum += bond;
        }
    }
}
