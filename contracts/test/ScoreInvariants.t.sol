// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId} from "../src/Types.sol";
import {Evaluator, Panel, Tally} from "../src/interfaces/IContributionScores.sol";
import {InvariantTest} from "./support/InvariantTest.sol";
import {Mintable} from "./support/Mintable.sol";
import {ScoreHandler} from "./support/ScoreHandler.sol";
import {ScoreTest} from "./support/ScoreTest.sol";

/// @notice I23 to I30 of contracts/README.md. I28 and I29 are checked by the handler when it acts.
/// forge-config: ci.invariant.runs = 150
/// forge-config: default.invariant.runs = 8
contract ScoreInvariantsTest is ScoreTest, InvariantTest {
    ScoreHandler private _handler;

    /// @dev Two bounties of which all rounds are merged and vest one after the other. In the second one an update is
    /// rejected in every other round, and its panel is larger and dearer.
    function setUp() public override {
        super.setUp();
        _handler = new ScoreHandler(market, Mintable(address(token)), owner);
        (rules.rounds, rules.challengeSeconds) = (_handler.ROUNDS(), 60);
        _play(0);
        _usualPanel(4);
        (panel.bond, panel.forfeit, panel.feeShare, panel.tolerance) = (7e18, 7e18, 10_000, 20_000);
        rules.pot = 11;
        _play(2);
    }

    function _play(uint256 rejected) private {
        _post();
        _appoint();
        for (uint256 k = 0; k < 3; ++k) {
            _join(k);
        }
        _bond(aggregator);
        for (uint16 round = 1; round <= rules.rounds; ++round) {
            bool rejects = rejected != 0 && round % 2 == 0;
            _mergeRound(3, rejects ? rejected : 0, rejects ? bytes(hex"04000000") : bytes(""));
            bytes32[3] memory roots = [_updateRoot(0, round), _updateRoot(1, round), _updateRoot(2, round)];
            _handler.learn(BountyId.unwrap(id), round, record, roots);
        }
    }

    /// @dev All actions but the last one of a run; those that carry a round on more often.
    function _actions() internal view override returns (address, bytes memory) {
        return (
            address(_handler),
            abi.encodePacked(
                [
                    ScoreHandler.wait.selector,
                    ScoreHandler.deposit.selector,
                    ScoreHandler.commit.selector,
                    ScoreHandler.reveal.selector,
                    ScoreHandler.carryOn.selector,
                    ScoreHandler.carryOn.selector,
                    ScoreHandler.carryOn.selector,
                    ScoreHandler.carryOn.selector,
                    ScoreHandler.carryOn.selector,
                    ScoreHandler.settle.selector,
                    ScoreHandler.settle.selector,
                    ScoreHandler.withdraw.selector,
                    ScoreHandler.claim.selector,
                    ScoreHandler.collect.selector,
                    ScoreHandler.returnRest.selector
                ]
            )
        );
    }

    function invariant_I23_to_I27() public view {
        uint256 sum = 0;
        for (uint256 bounty = 1; bounty <= _handler.BOUNTIES(); ++bounty) {
            uint256 held = _evaluators(bounty) + _rounds(bounty) + scores.restOf(BountyId.wrap(bounty));
            assertEq(_handler.cameIn(bounty), _handler.wentOut(bounty) + held, "I24: pays from its own money alone");
            assertEq(scores.restOf(BountyId.wrap(bounty)), _handler.restOf(bounty), "I25: the owner's rest");
            sum += held;
        }
        assertEq(token.balanceOf(address(scores)), sum, "I23: holds exactly what it owes");
    }

    /// @dev The bonds and fees of one bounty.
    function _evaluators(uint256 bounty) private view returns (uint256 sum) {
        Panel memory appointed = scores.panelOf(BountyId.wrap(bounty));
        for (uint256 k = 0; k < appointed.evaluators.length; ++k) {
            address account = appointed.evaluators[k];
            Evaluator memory seat = scores.evaluatorOf(BountyId.wrap(bounty), account);
            assertEq(seat.bond, _handler.bondOf(bounty, account), "I27: a bond is lost for its owner's deeds alone");
            assertEq(seat.open, _handler.openOf(bounty, account), "I27: open commitments");
            assertEq(seat.earned, _handler.earnedOf(bounty, account), "I25: fees");
            assertLe(uint256(appointed.forfeit) * seat.open, seat.bond, "I27: the bond covers what is open");
            sum += uint256(seat.bond) + seat.earned;
        }
    }

    /// @dev What the updates of one bounty's settled rounds have not taken.
    function _rounds(uint256 bounty) private view returns (uint256 sum) {
        for (uint16 round = 1; round <= _handler.ROUNDS(); ++round) {
            Tally memory tally = scores.tallyOf(BountyId.wrap(bounty), round);
            assertTrue(tally.settled == _handler.settled(bounty, round), "I25: settled once");
            for (uint8 k = 0; k < _handler.PROVIDERS(); ++k) {
                (uint256 weight, bool claimed) = scores.weightOf(BountyId.wrap(bounty), round, k);
                uint256 due = claimed || weight == 0 ? 0 : uint256(tally.pot) * weight / tally.total;
                assertEq(due, _handler.dueOf(bounty, round, k), "I26: an update is paid its part once");
                sum += due;
            }
        }
    }

    /// @notice I30: nothing is stuck. At the end of every run all take what is theirs, and the contract is empty.
    function afterInvariant() public {
        _handler.drain();
        assertEq(token.balanceOf(address(scores)), 0, "I30");
    }
}
