// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MergeRecord} from "../src/Types.sol";
import {IContributionScores, ScorePhase} from "../src/interfaces/IContributionScores.sol";
import {BlockingToken, FeeToken, LyingToken, ReenteringToken, SilentToken} from "./support/HostileTokens.sol";
import {ScoredTest} from "./support/ScoredTest.sol";

/// @notice A token that returns nothing works everywhere.
contract ScoreSilentTokenTest is ScoredTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new SilentToken()));
    }

    /// @dev The interface of OpenZeppelin expects an answer from `approve`.
    function _fund(address account) internal override {
        SilentToken(address(token)).mint(account, FORTUNE);
        _approve(account, address(market));
    }

    function _approve(address account, address spender) internal override {
        vm.prank(account);
        SilentToken(address(token)).approve(spender, type(uint256).max);
    }

    function test_life__withATokenThatReturnsNothing__works() public {
        _ready();
        _settleScores(1);
        _everyoneLeaves();
        assertEq(_balance(address(scores)), 0, "scores");
    }
}

/// @notice A fee on transfer is refused on the way in; on the way out it is the receiver's loss alone.
contract ScoreFeeTokenTest is ScoredTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new FeeToken()));
    }

    function _charge(uint256 bps) private {
        FeeToken(address(token)).setFee(bps);
    }

    function test_depositBond__withAFee__isRefused() public {
        _post();
        _appoint();
        _fundEvaluator(0);
        _charge(100);
        uint256 arrived = uint256(panel.bond) - panel.bond / 100;
        _refused(abi.encodeWithSelector(IContributionScores.WrongBalance.selector, arrived, panel.bond));
        _deposit(0);
        assertEq(_standingOf(0).bond, 0, "bond");
    }

    function test_settle__withAFee__waitsUntilTheShareArrivesWhole() public {
        _ready();
        _charge(100);
        uint256 expected = _share(1) + 3 * uint256(panel.bond);
        _refused(
            abi.encodeWithSelector(IContributionScores.WrongBalance.selector, expected - _share(1) / 100, expected)
        );
        _settleScores(1);
        _assertScorePhase(1, ScorePhase.Due);
        _charge(0);
        _settleScores(1);
    }

    function test_payments__withAFeeThatCameLater__leaveTheContractSolvent() public {
        _ready();
        _settleScores(1);
        _charge(100);
        _everyoneLeaves();
        assertEq(_balance(address(scores)), 0, "scores");
    }
}

/// @notice A token that only says that it moved money settles nothing.
contract ScoreLyingTokenTest is ScoredTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new LyingToken()));
    }

    function test_settle__ofAShareThatNeverArrives__isRefused() public {
        _ready();
        LyingToken(address(token)).setLying(true);
        uint256 expected = _share(1) + 3 * uint256(panel.bond);
        _refused(abi.encodeWithSelector(IContributionScores.WrongBalance.selector, expected - _share(1), expected));
        _settleScores(1);
    }
}

/// @notice An account that the token blocks can't be paid until it is free again, and stops nobody else.
contract ScoreBlockingTokenTest is ScoredTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new BlockingToken()));
    }

    function test_life__withABlockedProviderEvaluatorAndOwner__goesOnForTheOthers() public {
        _ready();
        BlockingToken blocking = BlockingToken(address(token));
        (address provider, address evaluator) = (_provider(0), _evaluator(0));
        blocking.setBlocked(provider, true);
        blocking.setBlocked(evaluator, true);
        blocking.setBlocked(owner, true);
        _settleScores(1);
        _refused(abi.encodeWithSelector(BlockingToken.Blocked.selector, provider));
        _claimScore(0, 1);
        _refused(abi.encodeWithSelector(BlockingToken.Blocked.selector, evaluator));
        _collect(0);
        _claimScore(1, 1);
        _collect(1);
        blocking.setBlocked(provider, false);
        _claimScore(0, 1);
    }
}

/// @notice A token that calls back in the middle of a transfer, into every call of the same bounty.
contract ScoreReenteringTokenTest is ScoredTest {
    function _newToken() internal override returns (IERC20) {
        return IERC20(address(new ReenteringToken()));
    }

    /// @dev What may be called back, and by whom.
    function _callback(uint256 k) private view returns (address actor, bytes memory call) {
        if (k == 0) return (_provider(0), abi.encodeCall(scores.claim, (id, 1, _updateRoot(0, 1))));
        if (k == 1) return (_evaluator(0), abi.encodeCall(scores.collectFees, (id)));
        if (k == 2) return (_evaluator(0), abi.encodeCall(scores.withdrawBond, (id)));
        if (k == 3) return (_evaluator(0), abi.encodeCall(scores.depositBond, (id)));
        if (k == 4) return (rival, abi.encodeCall(scores.returnRest, (id)));
        MergeRecord memory shown = record;
        return (rival, abi.encodeCall(scores.settle, (id, 1, shown, opened)));
    }

    function _step(uint256 k) private {
        (address actor, bytes memory call) = _callback(k);
        vm.prank(actor);
        (bool success,) = address(scores).call(call);
        success; // refused or not: what counts is what is owed afterwards
    }

    function test_everyCall__withACallBackInTheMiddle__takesNothingThatIsAnothers() public {
        _ready();
        uint256 clean = vm.snapshotState();
        for (uint256 outer = 0; outer < 6; ++outer) {
            for (uint256 inner = 0; inner < 12; ++inner) {
                vm.revertToState(clean);
                clean = vm.snapshotState();
                if (outer != 5) _settleScores(1);
                (address actor, bytes memory call) = _callback(inner % 6);
                ReenteringToken(address(token)).arm(actor, address(scores), call, inner < 6);
                _step(outer);
                ReenteringToken(address(token)).arm(actor, address(scores), "", false);
                assertLe(_liabilities(), _balance(address(scores)), "solvent");
                assertLe(_balance(address(scores)), _liabilities(), "nothing is lost");
            }
        }
    }

    function _liabilities() private view returns (uint256 sum) {
        sum = scores.restOf(id);
        uint256 pot = scores.tallyOf(id, 1).pot;
        for (uint8 k = 0; k < 2; ++k) {
            (uint256 weight, bool claimed) = scores.weightOf(id, 1, k);
            if (!claimed) sum += pot * weight / 4;
        }
        for (uint256 k = 0; k < 3; ++k) {
            sum += uint256(_standingOf(k).bond) + _standingOf(k).earned;
        }
    }
}
