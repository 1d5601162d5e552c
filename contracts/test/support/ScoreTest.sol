// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRecord, RewardRule} from "../../src/Types.sol";
import {
    Evaluator,
    IContributionScores,
    Panel,
    ScoreClock,
    ScorePhase
} from "../../src/interfaces/IContributionScores.sol";
import {MarketTest} from "./MarketTest.sol";
import {Mintable} from "./Mintable.sol";

/// @notice A market that pays by contribution, a panel of evaluators, and the steps of a round's scoring as one-line calls.
abstract contract ScoreTest is MarketTest {
    uint256 internal constant WHOLE = 1 << 32;

    IContributionScores internal scores;

    /// @dev Who is appointed; tests change it before.
    Panel internal panel;

    /// @dev Of the latest merge.
    MergeRecord internal record;

    /// @dev What each evaluator opened of the latest round, in the panel's order.
    uint256[][] internal opened;

    function setUp() public virtual override {
        super.setUp();
        scores = IContributionScores(market.scores());
        rules.rewardRule = RewardRule.Contribution;
        _usualPanel(3);
    }

    function _usualPanel(uint256 count) internal {
        delete panel;
        panel.bond = 40e18;
        panel.forfeit = 15e18;
        panel.commitSeconds = 70;
        panel.revealSeconds = 80;
        panel.quorum = uint8(count / 2 + 1);
        panel.feeShare = 300;
        panel.tolerance = 500;
        panel.validation = keccak256("validation");
        for (uint256 k = 0; k < count; ++k) {
            panel.evaluators.push(_evaluator(k));
        }
    }

    // --- people ---

    function _evaluator(uint256 k) internal pure returns (address) {
        return address(uint160(0x2000 + k));
    }

    function _fundEvaluator(uint256 k) internal {
        if (token.balanceOf(_evaluator(k)) != 0) return;
        Mintable(address(token)).mint(_evaluator(k), FORTUNE);
        _approve(_evaluator(k), address(scores));
    }

    function _approve(address account, address spender) internal virtual {
        vm.prank(account);
        token.approve(spender, type(uint256).max);
    }

    // --- steps ---

    function _appoint() internal {
        Panel memory appointed = panel;
        _as(owner);
        scores.appoint(id, appointed);
    }

    function _deposit(uint256 k) internal {
        _fundEvaluator(k);
        _as(_evaluator(k));
        scores.depositBond(id);
    }

    function _withdrawScoreBond(uint256 k) internal {
        _as(_evaluator(k));
        scores.withdrawBond(id);
    }

    /// @dev A posted bounty with its panel, all of whom have bonded.
    function _appointed() internal {
        _post();
        _appoint();
        for (uint256 k = 0; k < panel.evaluators.length; ++k) {
            _deposit(k);
        }
    }

    /// @dev The first round of a bounty with a panel, merged of `count` updates.
    function _mergedByPanel(uint256 count, uint256 rejected, bytes memory reasons) internal {
        _appointed();
        for (uint256 k = 0; k < count; ++k) {
            _join(k);
        }
        _bond(aggregator);
        _mergeRound(count, rejected, reasons);
    }

    /// @dev The same, vested.
    function _vested(uint256 count) internal {
        _mergedByPanel(count, 0, "");
        vm.warp(vestsAt);
    }

    /// @dev Updates and merge of the present round. All of its share is paid if an update was accepted.
    function _mergeRound(uint256 count, uint256 rejected, bytes memory reasons) internal {
        uint16 round = _round();
        _updates(count);
        MergeClaim memory newMerge = _claimOf(reasons.length == 4 * count ? 0 : _share(round), rejected, reasons);
        record = MergeRecord({
            mergedAt: _now(),
            stateRoot: newMerge.stateRoot,
            stateCid: newMerge.stateCid,
            reportCid: newMerge.reportCid,
            payoutLeaves: newMerge.payoutLeaves,
            metric: newMerge.metric,
            rejected: newMerge.rejected,
            reasonsHash: keccak256(newMerge.reasons),
            scalesHash: newMerge.scalesHash,
            distancesHash: newMerge.distancesHash,
            clipCid: newMerge.clipCid
        });
        _merge(aggregator, newMerge);
        delete opened;
        for (uint256 k = 0; k < panel.evaluators.length; ++k) {
            opened.push(new uint256[](0));
        }
    }

    function _commitScores(uint256 k, uint16 round, uint256[] memory report) internal {
        bytes32 commitment = _scoreCommitment(_evaluator(k), round, report);
        _as(_evaluator(k));
        scores.commit(id, round, commitment);
    }

    function _revealScores(uint256 k, uint16 round, uint256[] memory report) internal {
        opened[k] = report;
        _as(_evaluator(k));
        scores.reveal(id, round, report, _scoreSalt(_evaluator(k)));
    }

    /// @dev Everyone commits to and opens its report on round 1, with all of them in time.
    function _scored(uint256[][] memory reports) internal {
        for (uint256 k = 0; k < reports.length; ++k) {
            _commitScores(k, 1, reports[k]);
        }
        _warpScores(1, ScorePhase.Reveal);
        for (uint256 k = 0; k < reports.length; ++k) {
            _revealScores(k, 1, reports[k]);
        }
    }

    function _settleScores(uint16 round) internal {
        uint256[][] memory all = scores.clock(id, round).reveals < panel.quorum ? new uint256[][](0) : opened;
        _settleScores(round, all);
    }

    function _settleScores(uint16 round, uint256[][] memory reports) internal {
        MergeRecord memory shown = record;
        _as(rival);
        scores.settle(id, round, shown, reports);
    }

    function _claimScore(uint256 k, uint16 round) internal {
        bytes32 updateRoot = _updateRoot(k, round);
        _as(_provider(k));
        scores.claim(id, round, updateRoot);
    }

    function _collect(uint256 k) internal {
        _as(_evaluator(k));
        scores.collectFees(id);
    }

    function _returnRest() internal {
        _as(rival);
        scores.returnRest(id);
    }

    /// @dev Wait until time alone has brought the round's scoring to `phase`.
    function _warpScores(uint16 round, ScorePhase phase) internal {
        for (uint256 k = 0; k < 4 && scores.clock(id, round).phase != phase; ++k) {
            vm.warp(scores.clock(id, round).endsAt);
        }
        _assertScorePhase(round, phase);
    }

    function _refusedInScoring(ScorePhase present) internal {
        _refused(abi.encodeWithSelector(IContributionScores.WrongScorePhase.selector, present));
    }

    // --- what people would show ---

    function _scoreSalt(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode("score salt", account));
    }

    function _scoreCommitment(address account, uint16 round, uint256[] memory report) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                block.chainid,
                address(scores),
                id,
                round,
                account,
                keccak256(abi.encodePacked(report)),
                _scoreSalt(account)
            )
        );
    }

    function _report(uint32 a, uint32 b) internal pure returns (uint256[] memory) {
        return _report(a, b, 0);
    }

    function _report(uint32 a, uint32 b, uint32 c) internal pure returns (uint256[] memory report) {
        report = new uint256[](1);
        report[0] = uint256(a) << 224 | uint256(b) << 192 | uint256(c) << 160;
    }

    // --- reading ---

    function _standingOf(uint256 k) internal view returns (Evaluator memory) {
        return scores.evaluatorOf(id, _evaluator(k));
    }

    function _weight(uint16 round, uint8 index) internal view returns (uint32 weight) {
        (weight,) = scores.weightOf(id, round, index);
    }

    function _assertScorePhase(uint16 round, ScorePhase phase) internal view {
        ScoreClock memory clock = scores.clock(id, round);
        assertEq(uint256(clock.phase), uint256(phase), "score phase");
    }
}
