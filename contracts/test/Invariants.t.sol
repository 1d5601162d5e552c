// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ITrainingMarket} from "../src/interfaces/ITrainingMarket.sol";
import {BountyId, Clock, Merge, MergeRule, Phase, PrivacyMode, Provider, RewardRule, Terms} from "../src/Types.sol";
import {Handler} from "./support/Handler.sol";
import {InvariantTest} from "./support/InvariantTest.sol";
import {Markets} from "./support/Markets.sol";
import {Mintable} from "./support/Mintable.sol";
import {ProofHandler} from "./support/ProofHandler.sol";
import {RoundHandler} from "./support/RoundHandler.sol";

/// @notice The invariants that contracts/README.md numbers. I5, I6, I12, I14, I16, I31 and I32 are checked by
/// the handler at every action. One function checks the rest: forge plays all runs again for each function.
contract InvariantsTest is Markets, InvariantTest {
    ProofHandler private _handler;
    ITrainingMarket private _market;
    Mintable private _token;
    address private _owner = address(0x0A);
    mapping(uint256 bounty => Terms) private _posted;

    function setUp() public {
        vm.warp(1_750_000_000);
        (_market, _token) = (_newMarket(), _newDevToken());
        Terms memory equal = _terms();
        Terms memory weighted = _terms();
        (weighted.rewardRule, weighted.maxWeight) = (RewardRule.Stake, 5);
        (weighted.pot, weighted.rounds, weighted.maxUpdates, weighted.forfeit) = (1_000_003, 2, 3, 60);
        Terms memory divided = _terms();
        (divided.rewardRule, divided.rounds, divided.target) = (RewardRule.Contribution, 3, 900_000);
        _handler = new ProofHandler(_market, _token, [equal, weighted, divided], _owner);
        (_posted[1], _posted[2], _posted[3]) = (equal, weighted, divided);
        _warmUp();
    }

    /// @dev The second bounty's first round is merged: short runs then see what comes of a merge. The first is untouched.
    function _warmUp() private {
        for (uint256 k = 0; k < 3; ++k) {
            _handler.join(1, k, 250 * k);
        }
        _handler.depositBond(1, 0);
        for (uint256 k = 0; k < 3; ++k) {
            _handler.commit(1, k);
        }
        for (uint256 k = 0; k < 3; ++k) {
            _handler.reveal(1, k);
        }
        _handler.merge(1, 0, 0);
        assertTrue(_market.mergeOf(BountyId.wrap(2), 1).vestsAt != 0, "warm");
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
            target: 0,
            manifest: "manifest",
            stateRoot: "state",
            mergeParameters: bytes32(uint256(65_536))
        });
    }

    /// @dev All actions; those that carry a bounty on more often.
    function _actions() internal view override returns (address, bytes memory) {
        return (
            address(_handler),
            abi.encodePacked(
                [
                    RoundHandler.wait.selector,
                    Handler.carryOn.selector,
                    RoundHandler.waitLong.selector,
                    RoundHandler.join.selector,
                    Handler.carryOn.selector,
                    Handler.carryOn.selector,
                    RoundHandler.leave.selector,
                    RoundHandler.withdrawStake.selector,
                    RoundHandler.commit.selector,
                    Handler.carryOn.selector,
                    Handler.carryOn.selector,
                    RoundHandler.reveal.selector,
                    Handler.carryOn.selector,
                    Handler.carryOn.selector,
                    RoundHandler.forfeit.selector,
                    RoundHandler.depositBond.selector,
                    RoundHandler.withdrawBond.selector,
                    Handler.merge.selector,
                    Handler.claim.selector,
                    Handler.claim.selector,
                    Handler.claimLapsed.selector,
                    Handler.release.selector,
                    Handler.settle.selector,
                    Handler.refund.selector,
                    Handler.cancel.selector,
                    Handler.carryOn.selector,
                    Handler.carryOn.selector,
                    Handler.carryOn.selector,
                    Handler.carryOn.selector,
                    ProofHandler.prove.selector,
                    ProofHandler.prove.selector,
                    ProofHandler.disqualify.selector,
                    ProofHandler.demandExtend.selector,
                    ProofHandler.claimVoided.selector,
                    ProofHandler.meddle.selector,
                    ProofHandler.meddleWithShares.selector
                ]
            )
        );
    }

    function invariant_I1_to_I16_I31_I32() public {
        uint256 sum = 0;
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            (uint256 stakes, uint256 members) = _checkProviders(bounty);
            uint256 held = _purses(bounty) + stakes;
            assertEq(_handler.cameIn(bounty), _handler.wentOut(bounty) + held, "I2: pays from its own money alone");
            sum += held;
            _I3_providersGetWhatWasAllocatedAndNoMore(bounty);
            _I7_countersCount(bounty, members);
            _I8_theClockShownIsTheClockWrittenDown(bounty);
            _I13_noMergeVestsBeforeTheOneItBuildsOn(bounty);
        }
        assertEq(_token.balanceOf(address(_market)), sum, "I1: the market holds exactly what it owes");
    }

    /// @dev What holds for each provider.
    function _checkProviders(uint256 bounty) private view returns (uint256 stakes, uint256 members) {
        uint96 forfeit = _posted[bounty].forfeit;
        for (uint256 k = 0; k < _handler.PROVIDERS(); ++k) {
            address account = _handler.providerAt(k);
            Provider memory standing = _market.provider(BountyId.wrap(bounty), account);
            stakes += standing.stake;
            assertEq(standing.claimed, _handler.claimed(bounty, account), "I4: nobody is paid twice");
            assertEq(
                standing.stake, _handler.stakeOf(bounty, account), "I15: a stake is lost for its owner's deeds alone"
            );
            assertLe(standing.claimed, _handler.mostPaid(bounty, account), "I11, I16: no more than what stands pays");
            if (standing.stake == 0 || standing.unlocksAt != 0) continue;
            ++members;
            assertLe(forfeit, standing.stake, "I9: a stake covers the next forfeit");
        }
    }

    /// @dev What one bounty holds beside stakes: both purses, all bonds.
    function _purses(uint256 bounty) private view returns (uint256 sum) {
        BountyId id = BountyId.wrap(bounty);
        (uint96 owed, uint128 free) = _market.money(id);
        (uint96 first,) = _market.bondOf(id, _handler.bonders(0));
        (uint96 second,) = _market.bondOf(id, _handler.bonders(1));
        sum = uint256(owed) + free + first + second;
    }

    function _I3_providersGetWhatWasAllocatedAndNoMore(uint256 bounty) private view {
        BountyId id = BountyId.wrap(bounty);
        (uint256 pot, uint256 bond, uint16 rounds) = (_posted[bounty].pot, _posted[bounty].bond, _posted[bounty].rounds);
        uint256 allocated = _handler.paidByMerges(bounty);
        for (uint16 round = 1; round <= rounds; ++round) {
            uint96 share = _market.lapsedShare(id, round);
            if (share != 0) allocated += share * _handler.revealsOf(bounty, round);
        }
        (uint96 owed,) = _market.money(id);
        assertEq(_handler.taken(bounty) + owed, allocated, "I3");
        assertLe(allocated, pot + bond, "I3: at most the pot and one bond");
    }

    function _I7_countersCount(uint256 bounty, uint256 members) private view {
        Clock memory clock = _market.clock(BountyId.wrap(bounty));
        assertEq(clock.members, members, "I7: members");
        assertEq(clock.memberCount, _handler.everJoined(bounty), "I7: ever joined");
        assertLe(clock.reveals, clock.commits, "I7: reveals");
        assertLe(clock.commits, _posted[bounty].maxUpdates, "I7: commits");
        if (clock.phase != Phase.Ended) {
            assertEq(clock.reveals, _handler.revealsOf(bounty, clock.round), "I7: counted reveals");
        }
        if (clock.phase == Phase.Commit) {
            uint256 most = clock.members + _handler.lostCommits(bounty, clock.round);
            assertLe(clock.commits, most, "I7: only members commit");
        }
    }

    function _I8_theClockShownIsTheClockWrittenDown(uint256 bounty) private {
        BountyId id = BountyId.wrap(bounty);
        bytes32 shown = keccak256(abi.encode(_market.clock(id)));
        _market.settle(id);
        assertEq(keccak256(abi.encode(_market.clock(id))), shown, "I8");
    }

    function _I13_noMergeVestsBeforeTheOneItBuildsOn(uint256 bounty) private view {
        uint16 rounds = _posted[bounty].rounds;
        uint16 latest = 0;
        uint32 vestsAt = 0;
        for (uint16 round = 1; round <= rounds; ++round) {
            Merge memory merged = _market.mergeOf(BountyId.wrap(bounty), round);
            if (merged.payoutRoot == 0) continue;
            assertEq(merged.previous, latest, "I13: builds on the latest before it");
            assertLe(vestsAt, merged.vestsAt, "I13");
            (latest, vestsAt) = (round, merged.vestsAt);
        }
    }

    /// @notice I10: nothing is stuck. At the end of every run all take what is theirs, and the market is empty.
    function afterInvariant() public {
        _handler.drain();
        assertEq(_token.balanceOf(address(_market)), 0, "I10");
    }
}
